//! Downlinks whose URL is a template: what devices say never decides which server gets the secret.

use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        network_server::NetworkServer,
        server::{Connection, Hub},
    },
};

on_both_databases!(
    a_template_with_another_server_for_each_device_is_refused,
    a_stored_template_with_another_server_for_each_device_sends_nothing,
    no_device_s_id_moves_the_path,
    what_a_network_server_repeats_is_kept_without_the_secrets,
);

const TO_HERE: [&str; 4] = [
    "--outgoing-allow",
    "127.0.0.0/8",
    "--downlink-schedule-s",
    "0",
];

/// A hub with a connection that takes any id, and a device `d` behind it.
async fn hub(database: Database, network_device_id: &str) -> (Hub, Connection) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    let settings = json!({"type": "http", "mapping": { "device_id_pointer": "/id", "payload_pointer": "/p",
        "payload_encoding": "hex"}});
    let connection = hub
        .connect_as(&json!({"name": "any", "settings": settings}))
        .await;
    hub.device("d", &connection, network_device_id, json!({}))
        .await;
    (hub, connection)
}

fn template(url: &str) -> Value {
    json!({"type": "http", "method": "POST", "url": url, "authorization": "Bearer s3cr3t/tok+en"})
}

async fn queue(hub: &Hub) -> Value {
    let body = json!({"payload_hex": "beef", "f_port": 15});
    hub.post("devices/d/downlinks", &body).await.created()
}

/// Returns the reason why the downlink was not handed over, after an attempt.
async fn last_error(hub: &Hub, downlink: &Value) -> String {
    let path = format!("devices/d/downlinks/{}", downlink["id"].as_str().unwrap());
    eventually("the downlink says why it waits", async || {
        let found = hub.get(&path).await.ok();
        found["last_error"].as_str().map(str::to_owned)
    })
    .await
}

async fn a_template_with_another_server_for_each_device_is_refused(database: Database) {
    let (hub, connection) = hub(database, "evil.example").await;
    let path = format!("network-connections/{}/downlink-settings", connection.id);
    for url in [
        "https://{{network_device_id}}/down",
        "https://{{device}}",
        "https://a.example{{device}}/down",
        "https://{{tenant}}.a.example/down",
        "https://a.example.{{application}}?x=1",
        "https://a{{device/down",
        "https://a}}/down",
    ] {
        let error = hub
            .put(&path, &json!({"settings": template(url)}))
            .await
            .refused(400);
        assert!(
            error.starts_with("settings.url: must have no {{names}} in scheme, host and port"),
            "{url}: {error}"
        );
        hub.get(&path).await.refused(404);
    }
    // No URL at all, with a template in these places.
    for url in [
        "{{device}}://a.example/",
        "https://a.example:{{f_port}}/",
        "https://{{device}}@a.example/",
    ] {
        let body = json!({"settings": template(url)});
        let error = hub.put(&path, &body).await.refused(400);
        assert!(error.starts_with("settings.url: "), "{url}: {error}");
    }
    let url = "https://a.example/{{device}}?x={{network_device_id}}#{{tenant}}";
    hub.sends_downlinks(&connection, &template(url)).await;
}

async fn a_stored_template_with_another_server_for_each_device_sends_nothing(database: Database) {
    // The id of the device would send the secret to the server of this test.
    let (hub, connection) = hub(database, "127.0.0.1").await;
    let server = NetworkServer::start(vec![]).await;
    let port = server.url.rsplit_once(':').unwrap().1;
    hub.sends_downlinks(&connection, &template("https://a.example/down"))
        .await;
    let stored = json!({"type": "http", "method": "POST",
        "url": format!("http://{{{{network_device_id}}}}:{port}/down")});
    // There is no secret, which would not open for another address than its own.
    hub.sql(&format!(
        "UPDATE downlink_settings SET settings = '{stored}', secret = NULL"
    ))
    .await;
    let queued = queue(&hub).await;
    let error = last_error(&hub, &queued).await;
    assert!(
        error.contains("must have no {{names}} in scheme, host and port"),
        "{error}"
    );
    let path = format!("network-connections/{}", connection.id);
    let tested = hub.post(&format!("{path}/test"), &json!({})).await.ok();
    assert_eq!(tested["downlinks"]["reason"], error);
    assert!(server.asked().is_empty(), "{:?}", server.asked());
    // Settings that name a server send what has waited.
    let url = format!("{}/{{{{network_device_id}}}}/down", server.url);
    hub.sends_downlinks(&connection, &template(&url)).await;
    let asked = server.is_asked(1).await.remove(0);
    assert_eq!(asked.path, "/127.0.0.1/down");
    assert_eq!(asked.header("authorization"), "Bearer s3cr3t/tok+en");
}

async fn no_device_s_id_moves_the_path(database: Database) {
    let (hub, connection) = hub(database, "..").await;
    let server = NetworkServer::start(vec![]).await;
    let url = format!("{}/devices/{{{{network_device_id}}}}/down", server.url);
    hub.sends_downlinks(&connection, &template(&url)).await;
    let queued = queue(&hub).await;
    let error = last_error(&hub, &queued).await;
    assert_eq!(
        error,
        "the URL leads to another server or path when its placeholders are filled in"
    );
    assert!(server.asked().is_empty(), "{:?}", server.asked());
    let chirpstack = json!({"type": "chirpstack", "base_url": server.url, "api_token": "t"});
    hub.sends_downlinks(&connection, &chirpstack).await;
    eventually("the other network server is not asked either", async || {
        let error = last_error(&hub, &queued).await;
        error.contains("cannot be a segment").then_some(())
    })
    .await;
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

async fn what_a_network_server_repeats_is_kept_without_the_secrets(database: Database) {
    let (hub, connection) = hub(database, "AA00000000000001").await;
    let said = json!({"you said": "Bearer s3cr3t\\/tok\\u002ben, s3cr3t%2Ftok%2Ben"});
    let refusal = json!({"error": "not with s3cr\u{0}3t/tok+en\u{0}"});
    let item = json!({"id": "s3cr3t/tok+en\u{0}".to_owned() + &"x".repeat(300)});
    let cues = vec![(Some(400), said), (Some(200), refusal), (Some(200), item)];
    let server = NetworkServer::start(cues).await;
    let secret = "s3cr3t/tok+en";
    for (settings, state, member, expected) in [
        (template(&server.url), "failed", "last_error", "you said"),
        (
            json!({"type": "loriot", "url": server.url, "application_id": "a", "token": secret}),
            "failed",
            "last_error",
            "not with ***",
        ),
        (
            json!({"type": "chirpstack", "base_url": server.url, "api_token": secret}),
            "sent",
            "network_reference",
            "***xxx",
        ),
    ] {
        hub.sends_downlinks(&connection, &settings).await;
        let queued = queue(&hub).await;
        let settled = hub.downlink_gets(&queued, state).await;
        let text = settled[member].as_str().unwrap();
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("***"), "{text}");
        assert!(!text.contains("s3cr3t"), "{text}");
        assert!(text.chars().count() <= 300, "{text}");
    }
}
