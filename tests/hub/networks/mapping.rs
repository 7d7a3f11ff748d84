//! `mapping` has one shape for all connections that read any JSON, also for those from before it had.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{
    database::{Database, on_both_databases},
    server::Hub,
};

on_both_databases!(
    older_connections_get_the_shape_of_today,
    the_older_shape_is_refused_with_its_members,
);

async fn older_connections_get_the_shape_of_today(database: Database) {
    let mut hub = Hub::start(database).await;
    let mapping = json!({"device_id_pointer": "/id", "payload_pointer": "/p",
        "payload_encoding": "hex", "radio": {"rssi_pointer": "/rssi"}});
    let settings = json!({"type": "http", "mapping": mapping});
    let body = json!({"name": "any", "settings": settings});
    let connection = hub.connect_as(&body).await;
    let tts = hub.connect("tts").await;
    hub.device("d", &connection, "7", json!({})).await;

    let mut older = mapping.clone();
    older["type"] = "http".into();
    hub.end(Signal::SIGTERM).await;
    hub.sql(&format!(
        "UPDATE network_connections SET settings = '{older}' WHERE kind = 'http'"
    ))
    .await;
    hub.sql("DELETE FROM seaql_migrations WHERE version = 'm0031_http_mappings'")
        .await;
    hub.start_again().await;

    let path = format!("network-connections/{}", connection.id);
    let shown = hub.get(&path).await.ok()["settings"]["mapping"].clone();
    for (pointer, value) in [
        ("/device_id_pointer", json!("/id")),
        ("/payload_encoding", json!("hex")),
        ("/radio/rssi_pointer", json!("/rssi")),
        ("/port_pointer", json!(null)),
    ] {
        assert_eq!(shown.pointer(pointer), Some(&value), "{shown}");
    }
    let path = format!("network-connections/{}", tts.id);
    let untouched = json!({"type": "the_things_stack"});
    assert_eq!(hub.get(&path).await.ok()["settings"], untouched);
    let message = json!({"id": "7", "p": "00", "rssi": -50}).to_string();
    let receipt = hub.ingest(&connection, message).await.ok();
    assert_eq!(receipt["status"], "recorded", "{receipt}");
}

async fn the_older_shape_is_refused_with_its_members(database: Database) {
    let hub = Hub::start(database).await;
    let flat = json!({"name": "any", "settings": {"type": "http", "device_id_pointer": "/id",
        "payload_pointer": "/p", "payload_encoding": "hex"}});
    let error = hub.post("network-connections", &flat).await.refused(400);
    assert!(
        error.ends_with("_pointer: is unknown here")
            || error == "settings.payload_encoding: is unknown here",
        "{error}"
    );
    let wrong = json!({"name": "any", "settings": {"type": "http", "mapping": {
        "device_id_pointer": "id", "payload_pointer": "/p", "payload_encoding": "hex"}}});
    let error = hub.post("network-connections", &wrong).await.refused(400);
    assert!(
        error.starts_with("settings.mapping.device_id_pointer: "),
        "{error}"
    );
}
