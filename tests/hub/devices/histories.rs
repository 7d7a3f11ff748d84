//! The lists of what happened: deliveries, events, the audit log.

use reqwest::Method;
use serde_json::json;

use crate::{
    contract::collections::{change, each_holds, holds},
    eventually, sample,
    support::{
        database::{Database, on_both_databases},
        server::{Answer, Hub, WithJson, things_stack},
        sink::{Cue, Sink},
    },
};

on_both_databases!(deliveries, events, the_audit_log);

async fn deliveries(database: Database) {
    let flags = [
        "--outgoing-allow",
        "127.0.0.0/8",
        "--delivery-schedule-s",
        "0",
    ];
    let hub = Hub::start_with(database, &flags).await;
    let connection = hub.connect("tts").await;
    let cues = [Cue::Status(200), Cue::Status(500), Cue::Status(500)];
    let sink = Sink::start(&cues, Cue::Status(200)).await;
    let integration = hub.integration("erp", "", &sink.url).await;
    let list = format!("integrations/{integration}/deliveries");
    for (number, state) in [(1, "delivered"), (2, "dead"), (3, "delivered")] {
        let (id, eui) = (format!("d{number}"), format!("AA0000000000000{number}"));
        hub.device(&id, &connection, &eui, json!({})).await;
        hub.uplink(&connection, &eui).await;
        eventually("the delivery is settled", async || {
            let found = hub.list(&format!("{list}?device_id={id}")).await;
            (found[0]["state"] == state).then_some(())
        })
        .await;
    }
    let cases: [(&str, &[&str]); 8] = [
        ("", &["d3", "d2", "d1"]),
        ("sort=created_at", &["d1", "d2", "d3"]),
        ("sort=-created_at", &["d3", "d2", "d1"]),
        ("state=delivered", &["d3", "d1"]),
        ("state=dead", &["d2"]),
        ("state=pending", &[]),
        ("state=delivered&device_id=d1", &["d1"]),
        ("device_id=d", &[]),
    ];
    each_holds(&hub, &list, "device_id", &cases).await;
}

async fn events(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode() { throw new Error('no') }")
        .await;
    let more = json!({"driver": "a/b:1"});
    hub.device("d", &connection, "AA00000000000001", more).await;
    let messages = [
        things_stack("AA00000000000002").into_bytes(),
        things_stack("AA00000000000001").into_bytes(),
        sample("ttn_v3_join.json"),
    ];
    for message in messages {
        hub.ingest(&connection, message).await.ok();
    }
    let of_connection = format!("network-connections/{}/events", connection.id);
    let cases: [(&str, &[&str]); 6] = [
        ("", &["join", "driver_failed", "unknown_device"]),
        ("sort=at", &["unknown_device", "driver_failed", "join"]),
        ("sort=-at", &["join", "driver_failed", "unknown_device"]),
        ("kind=join", &["join"]),
        ("kind=driver_warning", &[]),
        ("to=2020-01-01T00:00:00Z", &[]),
    ];
    each_holds(&hub, &of_connection, "kind", &cases).await;
    holds(&hub, "devices/d/events", "kind", &["driver_failed"]).await;
    holds(&hub, "devices/d/events?kind=message", "kind", &[]).await;
    let failed = &hub.list("devices/d/events").await[0];
    let at = failed["at"].as_str().unwrap();
    let since = format!("{of_connection}?from={at}&sort=at");
    holds(&hub, &since, "kind", &["driver_failed", "join"]).await;
    let before = format!("{of_connection}?from=2020-01-01T00:00:00Z&to={at}");
    holds(&hub, &before, "kind", &["unknown_device"]).await;
}

async fn the_audit_log(database: Database) {
    let hub = Hub::start(database).await;
    let key = hub.api_key("program", &["write"]).await;
    hub.post("devices", &json!({"id": "d1"})).await.created();
    let request = hub.request(Method::POST, "devices").bearer_auth(key);
    let by_key = |answer: Answer| answer.created();
    by_key(hub.answer(request.with_json(&json!({"id": "d2"}))).await);
    change(&hub, "devices/d1", &json!({"name": "n"})).await;
    let me = hub.get("users/me").await.ok()["id"].clone();
    let by = |query: &str| format!("audit-log?resource=devices&{query}");
    for (query, expected) in [
        ("sort=at", &["d1", "d2", "d1"][..]),
        ("sort=-at", &["d1", "d2", "d1"]),
        ("action=update_device", &["d1"]),
        ("action=create_device", &["d2", "d1"]),
        ("action=create_device&resource_id=d1", &["d1"]),
        ("api_key_id=1", &["d2"]),
        ("api_key_id=2", &[]),
        (&format!("user_id={me}"), &["d1", "d1"]),
        ("to=2020-01-01T00:00:00Z", &[]),
        ("from=2999-01-01T00:00:00Z", &[]),
    ] {
        holds(&hub, &by(query), "resource_id", expected).await;
    }
    holds(&hub, "audit-log?resource=users", "resource_id", &["1"]).await;
    let second = &hub.list("audit-log?api_key_id=1").await[0];
    let at = second["at"].as_str().unwrap();
    let since = by(&format!("from={at}"));
    holds(&hub, &since, "action", &["update_device", "create_device"]).await;
    let before = by(&format!("to={at}"));
    holds(&hub, &before, "resource_id", &["d1"]).await;
}
