//! Targets that the hub may never reach are refused when they are stored, not at the first message.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Answer, Hub},
};

on_both_databases!(
    private_targets_are_refused_when_they_are_stored,
    a_target_that_stays_may_be_changed_otherwise,
);

const PRIVATE: [&str; 9] = [
    "127.0.0.1",
    "localhost",
    "hub.localhost",
    "10.0.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "2130706433",
    "[::1]",
    "[::ffff:10.0.0.1]",
];

/// Every kind of target at a host, with the field that names the host.
fn targets(host: &str) -> Vec<(&'static str, Value)> {
    let oauth2 = json!({"type": "oauth2_client_credentials", "client_id": "a",
        "client_secret": "b", "token_url": format!("https://{host}/token")});
    vec![
        (
            "target.url",
            json!({"type": "http", "url": format!("https://{host}:8443/x")}),
        ),
        (
            "target.auth.token_url",
            json!({"type": "http", "url": "https://erp.example.com/", "auth": oauth2}),
        ),
        (
            "target.broker.url",
            json!({"type": "mqtt", "broker": {"url": format!("mqtts://{host}:8883")}, "topic": "t"}),
        ),
        (
            "target.bootstrap[1]",
            json!({"type": "kafka", "topic": "t",
                "bootstrap": ["kafka.example.com:9093", format!("{host}:9093")]}),
        ),
        (
            "target.host",
            json!({"type": "postgres", "host": host, "database": "iot", "username": "hub",
                "password": "p", "table": "t", "id_column": "id",
                "columns": [{"name": "port", "pointer": "/f_port"}]}),
        ),
    ]
}

fn integration(target: &Value) -> Value {
    json!({"name": "i", "selector": "", "enabled": false, "target": target})
}

fn connections(host: &str) -> Vec<Value> {
    let mapping =
        json!({"device_id_pointer": "/id", "payload_pointer": "/p", "payload_encoding": "hex"});
    let broker = json!({"url": format!("wss://{host}/mqtt"), "username": "u"});
    [
        json!({"type": "mqtt", "broker": broker, "topics": ["t"], "mapping": mapping}),
        json!({"type": "the_things_stack_mqtt", "broker": broker}),
        json!({"type": "chirpstack_mqtt", "broker": broker}),
    ]
    .into_iter()
    .map(|settings| json!({"name": "c", "enabled": false, "settings": settings}))
    .collect()
}

fn downlinks(host: &str) -> Vec<(&'static str, Value)> {
    vec![
        (
            "settings.url",
            json!({"settings": {"type": "http", "method": "POST",
                "url": format!("https://{host}/{{{{network_device_id}}}}")}}),
        ),
        (
            "settings.base_url",
            json!({"settings": {"type": "chirpstack", "base_url": format!("https://{host}"),
                "api_token": "k"}}),
        ),
    ]
}

fn check_refusal(answer: Answer, field: &str, host: &str) {
    let error = answer.refused(400);
    assert!(error.starts_with(&format!("{field}: ")), "{host}: {error}");
    assert!(error.contains("outgoing_allow"), "{host}: {error}");
}

async fn private_targets_are_refused_when_they_are_stored(database: Database) {
    let hub = Hub::start(database).await;
    let tts = hub.connect("tts").await;
    let at_tts = format!("network-connections/{}/downlink-settings", tts.id);
    let public = integration(&json!({"type": "http", "url": "https://erp.example.com/"}));
    let made = hub.post("integrations", &public).await.created();
    let at_integration = format!("integrations/{}", made["id"]);
    let public = &connections("broker.example.com")[0];
    let made = hub.post("network-connections", public).await.created();
    let at_connection = format!("network-connections/{}", made["id"]);
    for host in PRIVATE {
        for (field, target) in targets(host) {
            let mut body = integration(&target);
            check_refusal(hub.put(&at_integration, &body).await, field, host);
            body["name"] = "another".into();
            check_refusal(hub.post("integrations", &body).await, field, host);
        }
        for mut body in connections(host) {
            let field = "settings.broker.url";
            check_refusal(hub.put(&at_connection, &body).await, field, host);
            body["name"] = "another".into();
            check_refusal(hub.post("network-connections", &body).await, field, host);
        }
        for (field, body) in downlinks(host) {
            check_refusal(hub.put(&at_tts, &body).await, field, host);
        }
    }
    assert_eq!(hub.list("integrations").await.len(), 1);
    assert_eq!(hub.list("network-connections").await.len(), 2);
    // A name is resolved when it is used.
    for (number, (_, target)) in targets("nowhere.invalid").into_iter().enumerate() {
        let mut body = integration(&target);
        body["name"] = format!("public {number}").into();
        hub.post("integrations", &body).await.created();
    }
    for (_, body) in downlinks("nowhere.invalid") {
        hub.put(&at_tts, &body).await.ok();
    }
}

async fn a_target_that_stays_may_be_changed_otherwise(database: Database) {
    let flags = ["--outgoing-allow", "127.0.0.0/8"];
    let mut hub = Hub::start_with(database, &flags).await;
    let mut kept = Vec::new();
    for (number, (field, target)) in targets("localhost").into_iter().enumerate() {
        let mut body = integration(&target);
        body["name"] = format!("i{number}").into();
        let made = hub.post("integrations", &body).await.created();
        kept.push((format!("integrations/{}", made["id"]), field, body));
    }
    let body = connections("127.0.0.1").remove(0);
    let made = hub.post("network-connections", &body).await.created();
    let field = "settings.broker.url";
    kept.push((format!("network-connections/{}", made["id"]), field, body));
    let elsewhere = integration(&targets("10.0.0.1")[0].1);
    check_refusal(
        hub.post("integrations", &elsewhere).await,
        "target.url",
        "10.0.0.1",
    );

    // The operator allows less than before.
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&[]).await;
    for (path, _, body) in &mut kept {
        body["name"] = format!("{} renamed", body["name"].as_str().unwrap()).into();
        hub.put(path, body).await.ok();
    }
    for (path, field, body) in &kept {
        let text = body.to_string();
        let other = text.replace("localhost", "127.0.0.2");
        let other = other.replace("127.0.0.1", "127.0.0.2");
        let other = serde_json::from_str(&other).unwrap();
        check_refusal(hub.put(path, &other).await, field, "127.0.0.2");
    }
}
