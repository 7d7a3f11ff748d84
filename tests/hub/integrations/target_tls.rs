//! TLS of one's own: private authorities, and certificates that the hub presents.

use serde_json::{Value, json};

use crate::{
    eventually,
    faults::receiver::{Broken, Port, Then},
    support::{
        certificates::Authority,
        database::{Database, on_both_databases},
        server::{Connection, Hub},
    },
};

on_both_databases!(
    a_private_authority_is_trusted_where_it_is_named,
    a_client_certificate_is_presented_where_it_is_demanded,
    a_kept_key_must_belong_to_the_certificate,
    an_expired_certificate_is_named,
    a_token_s_server_has_tls_of_its_own,
    a_network_server_has_tls_of_its_own,
);

const EUI: &str = "AA00000000000001";
const TAKEN: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const TOKEN: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 47\r\n\r\n\
     {\"access_token\": \"one\", \"token_type\": \"Bearer\"}";

/// A hub that tries once, with a connection and the device `d`.
async fn hub(database: Database) -> (Hub, Connection) {
    let flags = ["--outgoing-allow", "127.0.0.1/32,::1/128"];
    let once = ["--delivery-schedule-s", "", "--downlink-schedule-s", ""];
    let hub = Hub::start_with(database, &[&flags[..], &once].concat()).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    (hub, connection)
}

async fn receiver(port: Port, says: &'static str) -> Broken {
    Broken::start(port, says, Then::Close).await
}

fn integration(name: &str, target: Value) -> Value {
    json!({"name": name, "selector": "", "target": target})
}

fn to(receiver: &Broken, tls: Value) -> Value {
    json!({"type": "http", "url": receiver.url, "tls": tls})
}

/// Outcome of an uplink at an integration and of its test: no error, or the same kind of error for both.
async fn error(hub: &Hub, connection: &Connection, id: &Value) -> Option<String> {
    let uplink = hub.uplink(connection, EUI).await;
    let path = format!("integrations/{id}/deliveries");
    let settled = eventually("the delivery is settled", async || {
        let found = hub.list(&path).await;
        let is_settled = |found: &Value| {
            found["uplink_id"] == uplink.as_str()
                && ["delivered", "dead"].contains(&found["state"].as_str().unwrap())
        };
        found.into_iter().find(is_settled)
    })
    .await;
    let path = format!("integrations/{id}/test");
    let tested = hub.post(&path, &json!({})).await.ok();
    assert_eq!(settled["last_error"], tested["error"], "{settled} {tested}");
    settled["last_error"].as_str().map(str::to_owned)
}

async fn a_private_authority_is_trusted_where_it_is_named(database: Database) {
    let (hub, connection) = hub(database).await;
    let (authority, stranger) = (Authority::new(), Authority::new());
    let receiver = receiver(Port::Tls(authority.right()), TAKEN).await;
    let body = integration("erp", json!({"type": "http", "url": receiver.url}));
    let made = hub.post("integrations", &body).await.created();
    assert_eq!(made["target"]["tls"], Value::Null);
    let path = format!("integrations/{}", made["id"]);
    let failed = error(&hub, &connection, &made["id"]).await.unwrap();
    assert!(failed.contains("UnknownIssuer"), "{failed}");
    let others = json!({"ca": stranger.pem()});
    hub.put(&path, &integration("erp", to(&receiver, others)))
        .await
        .ok();
    let failed = error(&hub, &connection, &made["id"]).await.unwrap();
    assert!(failed.contains("UnknownIssuer"), "{failed}");
    assert_eq!(receiver.requests(), 0);
    // The right authority may be one of several.
    let ca = format!("{}{}", stranger.pem(), authority.pem());
    let right = integration("erp", to(&receiver, json!({"ca": ca})));
    let view = hub.put(&path, &right).await.ok();
    let tls = json!({"ca": ca, "client_certificate": null, "client_certificate_expires_at": null,
        "has_client_key": false});
    assert_eq!(view["target"]["tls"], tls);
    assert_eq!(error(&hub, &connection, &made["id"]).await, None);
    assert_eq!(receiver.requests(), 2);
}

async fn a_client_certificate_is_presented_where_it_is_demanded(database: Database) {
    let (hub, connection) = hub(database).await;
    let (authority, of_clients) = (Authority::new(), Authority::new());
    let port = Port::Tls(authority.demanding(&of_clients));
    let receiver = receiver(port, TAKEN).await;
    let (certificate, key) = of_clients.client();
    let own = json!({"ca": authority.pem(), "client_certificate": certificate, "client_key": key});
    let mut body = integration("with", to(&receiver, own));
    let with = hub.post("integrations", &body).await.created();
    assert_eq!(with["target"]["tls"]["has_client_key"], true, "{with}");
    let expires = &with["target"]["tls"]["client_certificate_expires_at"];
    assert_eq!(expires, "4096-01-01T00:00:00Z");
    assert!(!with.to_string().contains("PRIVATE KEY"), "{with}");
    assert_eq!(error(&hub, &connection, &with["id"]).await, None);

    let strangers = Authority::new().client();
    let strangers = json!({"ca": authority.pem(), "client_certificate": strangers.0,
        "client_key": strangers.1});
    for (name, tls, reason) in [
        // A connection that was opened with another certificate is not reused.
        (
            "without",
            json!({"ca": authority.pem()}),
            "the server demands a client certificate",
        ),
        ("another", strangers, "UnknownCA"),
    ] {
        let body = integration(name, to(&receiver, tls));
        let made = hub.post("integrations", &body).await.created();
        let failed = error(&hub, &connection, &made["id"]).await.unwrap();
        assert!(failed.contains(reason), "{name}: {failed}");
    }

    // The key stays while the address does.
    let tls = body["target"]["tls"].as_object_mut().unwrap();
    tls.remove("client_key");
    let path = format!("integrations/{}", with["id"]);
    body["name"] = "renamed".into();
    let view = hub.put(&path, &body).await.ok();
    assert_eq!(view["target"]["tls"]["has_client_key"], true);
    assert_eq!(error(&hub, &connection, &with["id"]).await, None);
    body["target"]["url"] = receiver.url.replace("localhost", "evil.example").into();
    let refused = hub.put(&path, &body).await.refused(400);
    let expected = "target.tls.client_key: is required: the address has changed";
    assert_eq!(refused, expected);
    // The key is forgotten with the certificate.
    let bare = integration("renamed", to(&receiver, json!({"ca": authority.pem()})));
    let view = hub.put(&path, &bare).await.ok();
    assert_eq!(view["target"]["tls"]["has_client_key"], false);
    body["target"]["url"] = receiver.url.clone().into();
    let refused = hub.put(&path, &body).await.refused(400);
    assert_eq!(refused, "target.tls.client_key: is required");
}

async fn a_kept_key_must_belong_to_the_certificate(database: Database) {
    let (hub, connection) = hub(database).await;
    let authority = Authority::new();
    let ((certificate, key), (other, _)) = (authority.client(), authority.client());
    let tls = json!({"client_certificate": certificate, "client_key": key});
    let mut broker = tls.clone();
    broker["url"] = "mqtts://b.example.com".into();
    broker["username"] = "a@t".into();
    let auth = json!({"type": "oauth2_client_credentials", "client_id": "c", "client_secret": "s",
        "token_url": "https://login.example.com/token", "tls": tls});
    let http = json!({"type": "http", "url": "https://a.example.com/in"});
    let (mut by_itself, mut for_tokens) = (http.clone(), http);
    by_itself["tls"] = tls.clone();
    for_tokens["auth"] = auth;
    let downlinks = format!("network-connections/{}/downlink-settings", connection.id);
    for (path, body, place) in [
        ("integrations", integration("a", by_itself), "target.tls"),
        (
            "integrations",
            integration("b", for_tokens),
            "target.auth.tls",
        ),
        (
            "integrations",
            integration("c", json!({"type": "mqtt", "topic": "t", "broker": broker})),
            "target.broker",
        ),
        (
            "network-connections",
            // Switched off, because nobody is to be looked for.
            json!({"name": "d", "enabled": false, "settings": {"type": "the_things_stack_mqtt",
                "broker": broker}}),
            "settings.broker",
        ),
        (
            downlinks.as_str(),
            json!({"settings": {"type": "chirpstack", "base_url": "https://n.example.com",
                "api_token": "t", "tls": tls}}),
            "settings.tls",
        ),
    ] {
        let path = match path {
            "integrations" | "network-connections" => {
                let made = hub.post(path, &body).await.created();
                format!("{path}/{}", made["id"])
            }
            path => {
                hub.put(path, &body).await.ok();
                path.to_owned()
            }
        };
        let mut body = body;
        let pointer = format!("/{}", place.replace('.', "/"));
        let member = body.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
        member.remove("client_key").unwrap();
        hub.put(&path, &body).await.ok();
        body.pointer_mut(&pointer).unwrap()["client_certificate"] = other.clone().into();
        let refused = hub.put(&path, &body).await.refused(400);
        let expected = format!("{place}.client_key: does not belong");
        assert!(refused.starts_with(&expected), "{refused}");
    }
}

async fn an_expired_certificate_is_named(database: Database) {
    let (hub, connection) = hub(database).await;
    let (authority, of_clients) = (Authority::new(), Authority::new());
    let port = Port::Tls(authority.demanding(&of_clients));
    let receiver = receiver(port, TAKEN).await;
    let (certificate, key) = of_clients.expired_client();
    let tls = json!({"ca": authority.pem(), "client_certificate": certificate, "client_key": key});
    let body = integration("erp", to(&receiver, tls));
    let made = hub.post("integrations", &body).await.created();
    let expires = &made["target"]["tls"]["client_certificate_expires_at"];
    assert_eq!(expires, "2001-01-02T00:00:00Z");
    let failed = error(&hub, &connection, &made["id"]).await.unwrap();
    let told = "the client certificate has expired at 2001-01-02";
    assert!(failed.contains(told), "{failed}");
}

async fn a_token_s_server_has_tls_of_its_own(database: Database) {
    let (hub, connection) = hub(database).await;
    let (authority, of_tokens, of_clients) = (Authority::new(), Authority::new(), Authority::new());
    let sink = receiver(Port::Tls(authority.right()), TOKEN).await;
    let demanding = of_tokens.demanding(&of_clients);
    let giver = receiver(Port::Tls(demanding), TOKEN).await;
    let auth = |url: &str, tls: Value| {
        json!({"type": "oauth2_client_credentials", "client_id": "c", "client_secret": "s",
            "token_url": url, "tls": tls})
    };
    let (certificate, key) = of_clients.client();
    let own = json!({"ca": of_tokens.pem(), "client_certificate": certificate, "client_key": key});
    for (name, auth, reason) in [
        // The authorization server is the target's own server.
        ("here", auth(&sink.url, Value::Null), None),
        // Another server does not get the target's settings of TLS.
        (
            "there",
            auth(&giver.url, Value::Null),
            Some("UnknownIssuer"),
        ),
        ("there with its own", auth(&giver.url, own), None),
    ] {
        let mut target = to(&sink, json!({"ca": authority.pem()}));
        target["auth"] = auth;
        let body = integration(name, target);
        let made = hub.post("integrations", &body).await.created();
        let failed = error(&hub, &connection, &made["id"]).await;
        match reason {
            None => assert_eq!(failed, None, "{name}"),
            Some(reason) => {
                let failed = failed.unwrap_or_default();
                assert!(failed.contains("authorization server"), "{name}: {failed}");
                assert!(failed.contains(reason), "{name}: {failed}");
            }
        }
        if name == "there with its own" {
            let tls = &made["target"]["auth"]["tls"];
            assert_eq!(tls["has_client_key"], true, "{made}");
            assert!(!made.to_string().contains("PRIVATE KEY"), "{made}");
        }
    }
}

async fn a_network_server_has_tls_of_its_own(database: Database) {
    let (hub, connection) = hub(database).await;
    let (authority, of_clients) = (Authority::new(), Authority::new());
    let port = Port::Tls(authority.demanding(&of_clients));
    let server = receiver(port, TAKEN).await;
    let (certificate, key) = of_clients.client();
    let own = json!({"ca": authority.pem(), "client_certificate": certificate, "client_key": key});
    for (tls, state) in [
        (json!({"ca": authority.pem()}), "failed"),
        (Value::Null, "failed"),
        (own, "sent"),
    ] {
        let settings = json!({"type": "chirpstack", "base_url": server.url.trim_end_matches("/hook"),
            "api_token": "t", "tls": tls});
        let view = hub.sends_downlinks(&connection, &settings).await;
        assert!(!view.to_string().contains("PRIVATE KEY"), "{view}");
        let has_key = json!(state == "sent");
        assert_eq!(view["has_client_key"], has_key, "{view}");
        let tested = hub
            .post(
                &format!("network-connections/{}/test", connection.id),
                &json!({}),
            )
            .await
            .ok();
        let body = json!({"payload_hex": "beef", "f_port": 15});
        let queued = hub.post("devices/d/downlinks", &body).await.created();
        let sent = hub.downlink_gets(&queued, state).await;
        let told = tested["downlinks"].to_string();
        if state == "sent" {
            assert!(told.contains("passed"), "{told}");
            assert_eq!(sent["last_error"], Value::Null, "{sent}");
        } else {
            let error = sent["last_error"].as_str().unwrap();
            let reason = match tls.is_null() {
                true => "UnknownIssuer",
                false => "demands a client certificate",
            };
            assert!(error.contains(reason), "{error}");
            assert!(told.contains(reason), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tls_cannot_use_is_refused() {
    let hub = Hub::start(Database::Sqlite).await;
    let authority = Authority::new();
    let ((certificate, key), (_, other)) = (authority.client(), authority.client());
    let http = |tls: Value| json!({"type": "http", "url": "https://a.example.com", "tls": tls});
    let plain = json!({"type": "http", "url": "http://a.example.com", "tls": {}});
    let tokens = |url: &str, tls: Value| {
        json!({"type": "http", "url": "http://a.example.com", "auth": {"tls": tls,
            "type": "oauth2_client_credentials", "client_id": "c", "client_secret": "s",
            "token_url": url}})
    };
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
    let pair = |key: &str| json!({"client_certificate": certificate, "client_key": key});
    let both = format!("{certificate}{key}");
    let mut broker = pair(&other);
    broker["url"] = "mqtts://b.example.com".into();
    for (target, told) in [
        (
            http(json!({"ca": "x"})),
            "target.tls.ca: must be certificates in PEM",
        ),
        (http(json!({"ca": broken})), "target.tls.ca: must be"),
        (
            http(json!({"ca": both})),
            "target.tls.ca: must not hold a private key",
        ),
        (http(json!({"ca": 5})), "target.tls.ca: "),
        (http(json!({"trust": "all"})), "target.tls"),
        (
            http(json!({"client_certificate": certificate})),
            "target.tls.client_key: is required",
        ),
        (
            http(json!({"client_key": key})),
            "target.tls.client_certificate: belongs to client_key",
        ),
        (
            http(json!({"client_certificate": both, "client_key": key})),
            "target.tls.client_certificate: must not hold a private key",
        ),
        (
            http(pair("x")),
            "target.tls.client_key: must be a private key",
        ),
        (
            http(pair(
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----",
            )),
            "target.tls.client_key: must be a private key in PEM, without a passphrase",
        ),
        (http(pair(&other)), "target.tls.client_key: does not belong"),
        (
            http(pair(&"x".repeat(65_537))),
            "target.tls.client_key: must have 1 to 65536",
        ),
        (
            plain,
            "target.tls: requires a target.url that starts with https://",
        ),
        (
            tokens("http://a.example.com", json!({})),
            "target.auth.tls: requires a target.auth.token_url that starts with https://",
        ),
        (
            tokens("https://a.example.com", json!({"ca": broken})),
            "target.auth.tls.ca: must be",
        ),
        // The same rules apply to members that existed before.
        (
            json!({"type": "mqtt", "topic": "t", "broker": broker}),
            "target.broker.client_key: does not belong",
        ),
        (
            json!({"type": "kafka", "topic": "t", "bootstrap": ["b:9093"], "ca": broken}),
            "target.ca: must be",
        ),
        (
            json!({"type": "postgres", "host": "h", "database": "d", "username": "u", "table": "t",
                "columns": [{"name": "c", "pointer": ""}], "ca": broken}),
            "target.ca: must be",
        ),
    ] {
        let refused = hub.post("integrations", &integration("x", target)).await;
        let error = refused.refused(400);
        assert!(error.starts_with(told), "{error}, not {told}");
        assert!(!error.contains("MIIB"), "{error}");
    }
    let connection = hub.connect("tts").await;
    let path = format!("network-connections/{}/downlink-settings", connection.id);
    for (settings, told) in [
        (
            json!({"type": "chirpstack", "base_url": "http://n.example.com", "api_token": "t",
                "tls": {}}),
            "settings.tls: requires a URL that starts with https://",
        ),
        (
            json!({"type": "chirpstack", "base_url": "https://n.example.com", "api_token": "t",
                "tls": {"ca": broken}}),
            "settings.tls.ca: must be",
        ),
        (
            json!({"type": "loriot", "url": "https://n.example.com", "token": "t",
                "application_id": "a", "tls": {"client_certificate": certificate}}),
            "settings.tls.client_key: is required",
        ),
    ] {
        let refused = hub.put(&path, &json!({"settings": settings})).await;
        let error = refused.refused(400);
        assert!(error.starts_with(told), "{error}, not {told}");
    }
}
