//! The types of events and the devices that an integration hears of.

use serde_json::{Value, json};

use crate::{
    eventually,
    integrations::rules::{deliveries, hub, integration},
    support::{
        database::{Database, on_both_databases},
        sink::Sink,
    },
};

on_both_databases!(integrations_choose_what_they_hear_of);

async fn integrations_choose_what_they_hear_of(database: Database) {
    let (hub, connection) = hub(database).await;
    hub.push(
        "a/fails",
        "1",
        "function decode() { throw new Error('no such port') }",
    )
    .await;
    let more = json!({"driver": "a/fails:1", "labels": ["kept"]});
    hub.device("d2", &connection, "AA00000000000003", more)
        .await;
    let sink = Sink::willing().await;
    let events = json!({"events": ["raw", "downlink", "error"], "selector": "kept"});
    let path = integration(&hub, &sink.url, events).await;
    let every = json!({"events": ["downlink"], "name": "every"});
    let every = integration(&hub, &sink.url, every).await;
    let uplink = hub.uplink(&connection, "AA00000000000003").await;
    // Addresses of downlinks do not count here.
    let settings =
        json!({"settings": {"type": "http", "method": "POST", "url": "https://nowhere.invalid/"}});
    let to = format!("network-connections/{}/downlink-settings", connection.id);
    hub.put(&to, &settings).await.ok();
    for device in ["d2", "d0"] {
        let downlink = json!({"payload_hex": "00", "f_port": 1});
        let path = format!("devices/{device}/downlinks");
        hub.post(&path, &downlink).await.created();
    }
    eventually("the other device is heard of as well", async || {
        let found = hub.list(&format!("{every}/deliveries")).await;
        let of = |device: &str| found.iter().any(|one| one["device_id"] == device);
        (of("d0") && of("d2")).then_some(())
    })
    .await;
    let all = hub.list(&format!("{path}/deliveries")).await;
    let devices: Vec<_> = all.iter().map(|one| &one["device_id"]).collect();
    assert_eq!(devices, vec!["d2"; devices.len()], "as the selector has it");
    let delivered = deliveries(&hub, &path, "delivered", 3).await;
    let mut kinds: Vec<&str> = delivered
        .iter()
        .map(|one| one["event"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    // A downlink may have gone further than into its queue.
    kinds.dedup();
    assert_eq!(kinds, ["downlink", "error", "raw"]);
    let received = sink.gets(3).await;
    let body = |event: &str| {
        let found = received.iter().find(|one| one.body["event"] == event);
        found.unwrap().body.clone()
    };
    let (error, queued) = (body("error"), body("downlink"));
    assert_eq!(error["kind"], "driver_failed");
    assert!(error["message"].as_str().unwrap().contains("no such port"));
    assert_eq!(queued["kind"], "downlink_queued");
    assert_eq!(queued["device"]["id"], "d2");
    assert_eq!(queued["device"]["labels"], json!(["kept"]));
    let of_events = delivered
        .iter()
        .find(|one| one["event_id"] == queued["id"])
        .unwrap();
    assert_eq!(of_events["uplink_id"], Value::Null);
    let raw = received.iter().find(|one| one.body["dev_eui"].is_string());
    let raw = &raw.unwrap().body;
    assert_eq!((&raw["data"], raw.get("error")), (&Value::Null, None));
    assert!(raw["raw_payload"].is_string());
    let of_uplink = delivered.iter().find(|one| one["event"] == "raw").unwrap();
    assert_eq!(of_uplink["uplink_id"], uplink);
    // Events alone: there is no uplink to replay.
    let only = json!({"name": "other", "events": ["join", "status"]});
    let other = integration(&hub, &sink.url, only).await;
    let span = json!({"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"});
    hub.post(&format!("{other}/replay"), &span)
        .await
        .refused(400);
}
