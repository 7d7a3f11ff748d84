//! A stored secret that a change leaves out: it stays, unless it would be sent to somebody else.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::Hub,
};

on_both_databases!(
    integrations_ask_again,
    network_connections_ask_again,
    downlink_settings_ask_again,
);

const RULE: &str = "is required: the address has changed";

/// Puts the body, which leaves the secret out, with each of these members: those that make another address
/// are refused by the secret's name and change nothing, until the secret is given again.
async fn asks_again(
    hub: &Hub,
    path: &str,
    body: &Value,
    secret: &str,
    same: &[(&str, Value)],
    others: &[(&str, Value)],
) {
    let with = |pointer: &str, value: &Value| {
        let mut body = body.clone();
        set(&mut body, pointer, value);
        body
    };
    let pointer_of_secret = format!("/{}", secret.replace('.', "/"));
    hub.put(path, body).await.ok();
    for (pointer, value) in same {
        hub.put(path, &with(pointer, value)).await.ok();
        hub.put(path, body).await.ok();
    }
    for (pointer, value) in others {
        let revision = hub.get(path).await.ok()["revision"].clone();
        let mut changed = with(pointer, value);
        let error = hub.put(path, &changed).await.refused(400);
        assert_eq!(error, format!("{secret}: {RULE}"), "{pointer} {value}");
        assert_eq!(hub.get(path).await.ok()["revision"], revision, "{pointer}");
        for body in [&mut changed, &mut body.clone()] {
            set(body, &pointer_of_secret, &"given again".into());
            hub.put(path, body).await.ok();
        }
    }
}

fn set(body: &mut Value, pointer: &str, value: &Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value.clone();
}

async fn integrations_ask_again(database: Database) {
    let hub = Hub::start(database).await;
    let url = |url: &str| ("/target/url", json!(url));
    let somewhere = json!("https://evil.example");
    let http = |auth: Value| {
        json!({"type": "http", "url": "https://a.example.com/in", "auth": auth,
            "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    };
    let oauth = json!({"type": "oauth2_client_credentials", "client_id": "c",
        "token_url": "https://login.example.com/token", "client_secret": "s"});
    let broker = json!({"url": "mqtts://b.example.com", "username": "u", "password": "p"});
    let elsewhere = [
        url("https://evil.example/in"),
        url("http://a.example.com/in"),
        url("https://a.example.com:444/in"),
    ];
    let table = [
        (
            json!({"type": "http", "url": "https://a.example.com/in", "authorization": "Bearer s"}),
            "target.authorization",
            vec![url("https://a.example.com:443/other")],
            elsewhere.to_vec(),
        ),
        (
            http(json!({"type": "bearer", "token": "t"})),
            "target.auth.token",
            vec![url("https://a.example.com/other")],
            elsewhere.to_vec(),
        ),
        (
            http(oauth),
            "target.auth.client_secret",
            vec![(
                "/target/auth/token_url",
                json!("https://login.example.com/2"),
            )],
            vec![
                ("/target/auth/token_url", somewhere.clone()),
                url("https://evil.example"),
            ],
        ),
        (
            json!({"type": "mqtt", "broker": broker, "topic": "t"}),
            "target.broker.password",
            vec![("/target/broker/url", json!("mqtts://b.example.com:8883"))],
            vec![
                ("/target/broker/url", json!("mqtts://evil.example")),
                ("/target/broker/url", json!("mqtt://b.example.com:8883")),
            ],
        ),
        (
            json!({"type": "kafka", "bootstrap": ["k.example.com:9093"], "topic": "t",
                "username": "u", "password": "p"}),
            "target.password",
            vec![("/target/tls", json!("required"))],
            vec![
                ("/target/bootstrap", json!(["evil.example:9093"])),
                ("/target/tls", json!("off")),
            ],
        ),
        (
            json!({"type": "postgres", "host": "p.example.com", "database": "d", "username": "u",
                "password": "p", "table": "t", "columns": [{"name": "c", "pointer": ""}]}),
            "target.password",
            vec![("/target/port", json!(5432))],
            vec![
                ("/target/host", json!("evil.example")),
                ("/target/port", json!(5433)),
                ("/target/tls", json!("off")),
            ],
        ),
    ];
    for (target, secret, same, others) in table {
        let mut body = json!({"name": secret, "selector": "", "target": target});
        let made = hub.post("integrations", &body).await.created();
        let path = format!("integrations/{}", made["id"]);
        let pointer = format!("/{}", secret.replace('.', "/"));
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let members = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        members.remove(name).unwrap();
        // A secret that is never sent, so it stays whatever the address is.
        body["target"]
            .as_object_mut()
            .unwrap()
            .remove("signing_secret");
        asks_again(&hub, &path, &body, secret, &same, &others).await;
        let view = hub.get(&path).await.ok();
        let is_signed = view["target"]["has_signing_secret"] == true;
        assert_eq!(is_signed, secret.starts_with("target.auth."), "{view}");
        hub.delete(&path).await.ok();
    }
}

async fn network_connections_ask_again(database: Database) {
    let hub = Hub::start(database).await;
    let broker = json!({"url": "mqtts://b.example.com", "username": "a@t", "password": "p"});
    // Switched off, because nobody is to be looked for.
    let mut body = json!({"name": "broker", "enabled": false,
        "settings": {"type": "the_things_stack_mqtt", "broker": broker}});
    let made = hub.connect_as(&body).await;
    let path = format!("network-connections/{}", made.id);
    let members = body["settings"]["broker"].as_object_mut().unwrap();
    members.remove("password");
    let url = |url: &str| ("/settings/broker/url", json!(url));
    let others = [
        url("mqtts://evil.example"),
        url("mqtt://b.example.com"),
        url("wss://b.example.com:8883"),
    ];
    let secret = "settings.broker.password";
    let same = [url("mqtts://B.example.com:8883")];
    asks_again(&hub, &path, &body, secret, &same, &others).await;

    // A key that checks signatures is sent nowhere.
    let key = "c6f5e3b263092120b8766b9aed9c41b4";
    let mut body = json!({"name": "thingpark", "settings": {"type": "actility", "as_key": key}});
    let made = hub.connect_as(&body).await;
    body["settings"].as_object_mut().unwrap().remove("as_key");
    let path = format!("network-connections/{}", made.id);
    let view = hub.put(&path, &body).await.ok();
    assert_eq!(view["secrets"], json!(["as_key"]), "{view}");
}

async fn downlink_settings_ask_again(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let path = format!("network-connections/{}/downlink-settings", connection.id);
    let (base, url) = ("/settings/base_url", "/settings/url");
    for (settings, secret, address) in [
        (
            json!({"type": "the_things_stack", "webhook_id": "w"}),
            "api_key",
            base,
        ),
        (json!({"type": "chirpstack"}), "api_token", base),
        (
            json!({"type": "loriot", "application_id": "a"}),
            "token",
            url,
        ),
        (
            json!({"type": "http", "method": "POST"}),
            "authorization",
            url,
        ),
    ] {
        let mut body = json!({"settings": settings});
        let name = address.rsplit_once('/').unwrap().1;
        body["settings"][name] = "https://n.example.com/api".into();
        let mut first = body.clone();
        first["settings"][secret] = "s3cr3t".into();
        hub.put(&path, &first).await.ok();
        let to = |url: &str| (address, json!(url));
        let others = [
            to("https://evil.example/api"),
            to("https://n.example.com:8443/api"),
        ];
        let field = format!("settings.{secret}");
        let same = [to("https://n.example.com/api/v2")];
        asks_again(&hub, &path, &body, &field, &same, &others).await;
    }
}
