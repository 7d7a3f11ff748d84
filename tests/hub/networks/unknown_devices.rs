//! Messages of devices that nobody has made: the list of them, and rules that make devices of them.

use serde_json::{Value, json};

use super::messages::{connect, frame, ingest};
use crate::{
    contract::collections::holds,
    sample_json,
    support::{
        database::{Database, on_both_databases},
        server::{Hub, things_stack},
    },
};

on_both_databases!(
    unknown_devices_are_counted_and_adopted,
    messages_at_once_are_all_counted,
    whoever_was_new_last_is_first_in_the_list,
    a_rule_makes_devices_of_unknown_senders,
    a_rule_makes_one_device_however_its_address_is_written,
    a_wrong_rule_is_refused,
);

async fn unknown_devices_are_counted_and_adopted(database: Database) {
    let hub = Hub::start(database).await;
    let connection = connect(&hub, "loriot").await;
    let path = format!("network-connections/{}/unknown-devices", connection.id);
    for (number, payload, f_port) in [(1, "01", 85), (2, "02", 86), (3, "03", 87)] {
        let message = json!({"cmd": "rx", "EUI": "1000000000000001", "seqno": number, "fcnt": number,
            "ts": 1_684_478_800_000_u64 + number, "port": f_port, "data": payload});
        let message = message.to_string().into_bytes();
        let receipt = ingest(&hub, &connection, "", message).await.ok();
        assert_eq!(receipt["status"], "unknown_device");
    }
    let unknown = hub.list(&path).await;
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0]["network_device_id"], "1000000000000001");
    assert_eq!(unknown[0]["messages"], 3);
    assert_eq!(
        (&unknown[0]["raw"], &unknown[0]["f_port"]),
        (&json!("03"), &json!(87)),
        "those of the last message"
    );
    let (first, last) = (&unknown[0]["first_seen_at"], &unknown[0]["last_seen_at"]);
    assert!(first.as_str() < last.as_str(), "{unknown:?}");

    // What the network calls it, where its messages tell.
    let tts = hub.connect("tts").await;
    hub.ingest(&tts, things_stack("AA00000000000009"))
        .await
        .ok();
    let sent: Value = serde_json::from_str(&things_stack("")).unwrap();
    let ids = &sent["end_device_ids"];
    let list = format!("network-connections/{}/unknown-devices", tts.id);
    let named = hub.list(&list).await.remove(0);
    assert_eq!(named["network_name"], ids["device_id"]);
    let application = &ids["application_ids"]["application_id"];
    assert_eq!(&named["application"], application);

    let adopt = format!("{path}/1000000000000001/adopt");
    let body = json!({"id": "one", "labels": ["site=berlin"]});
    let device = hub.post(&adopt, &body).await.created();
    assert_eq!(device["labels"], json!(["site=berlin"]));
    assert_eq!(hub.list(&path).await, Vec::<Value>::new());
    hub.post(&adopt, &json!({})).await.refused(404);
    let receipt = ingest(&hub, &connection, "", frame(4, 1_684_478_800_004, "01")).await;
    assert_eq!(receipt.ok()["device_id"], "one");
}

async fn messages_at_once_are_all_counted(database: Database) {
    let hub = Hub::start(database).await;
    let connection = connect(&hub, "loriot").await;
    // Some of them are written together.
    let messages = (1..=40).map(|n| frame(n, 1_684_478_800_000 + n, "01"));
    let posts = messages.map(|message| ingest(&hub, &connection, "", message));
    for answer in futures_util::future::join_all(posts).await {
        assert_eq!(answer.ok()["status"], "unknown_device");
    }
    let path = format!("network-connections/{}/unknown-devices", connection.id);
    let unknown = hub.list(&path).await;
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0]["messages"], 40);
}

async fn whoever_was_new_last_is_first_in_the_list(database: Database) {
    let hub = Hub::start(database).await;
    let connection = connect(&hub, "loriot").await;
    let addresses = ["1000000000000002", "1000000000000001", "1000000000000003"];
    // The first one sends once more, which makes it no newer.
    for (number, address) in [0, 1, 2, 0].into_iter().enumerate() {
        let mut message = sample_json("loriot.json");
        message["EUI"] = addresses[address].into();
        message["fcnt"] = number.into();
        message["seqno"] = number.into();
        let message = message.to_string().into_bytes();
        ingest(&hub, &connection, "", message).await.ok();
    }
    let path = format!("network-connections/{}/unknown-devices", connection.id);
    let expected = ["1000000000000003", "1000000000000001", "1000000000000002"];
    holds(&hub, &path, "network_device_id", &expected).await;
}

async fn a_rule_makes_devices_of_unknown_senders(database: Database) {
    let hub = Hub::start(database).await;
    let rule = json!({"network_device_id_pattern": "1000.*", "labels": ["new"],
        "name_template": "Sensor {network_device_id}"});
    let body = json!({"name": "l", "settings": {"type": "loriot"}, "auto_provisioning": rule});
    let connection = hub.connect_as(&body).await;
    let path = format!("network-connections/{}", connection.id);
    let shown = hub.get(&path).await.ok()["auto_provisioning"].clone();
    assert_eq!(shown, rule);

    // Several at once: one of them makes the device.
    let messages = (1..=8).map(|n| frame(n, 1_684_478_800_000 + n, "01"));
    let posts = messages.map(|message| ingest(&hub, &connection, "", message));
    for answer in futures_util::future::join_all(posts).await {
        let receipt = answer.ok();
        assert_eq!(receipt["status"], "recorded", "{receipt}");
        assert_eq!(receipt["device_id"], "1000000000000001");
    }
    let device = hub.get("devices/1000000000000001").await.ok();
    assert_eq!(device["name"], "Sensor 1000000000000001");
    assert_eq!(device["labels"], json!(["new"]));
    assert_eq!(hub.list("devices").await.len(), 1);

    let mut other = sample_json("loriot.json");
    other["EUI"] = json!("2000000000000001");
    let receipt = ingest(&hub, &connection, "", other.to_string().into_bytes())
        .await
        .ok();
    assert_eq!(receipt["status"], "unknown_device");

    // A name that is taken: the message stays one of an unknown device, and the event says why.
    let mut body = body.clone();
    body["auto_provisioning"] = json!({"name_template": "Sensor 1000000000000001"});
    hub.put(&path, &body).await.ok();
    let receipt = ingest(&hub, &connection, "", other.to_string().into_bytes())
        .await
        .ok();
    assert_eq!(receipt["status"], "unknown_device");
    let events = hub
        .list(&format!("{path}/events?kind=unknown_device"))
        .await;
    let reason = events[0]["details"]["reason"].to_string();
    assert!(reason.contains("another device has this name"), "{reason}");
}

async fn a_rule_makes_one_device_however_its_address_is_written(database: Database) {
    let hub = Hub::start(database).await;
    let settings = json!({"type": "http", "mapping": { "device_id_pointer": "/id", "payload_pointer": "/data",
        "payload_encoding": "hex"}});
    let body = json!({"name": "mapping", "settings": settings,
        "auto_provisioning": {"network_device_id_pattern": "AA00.*"}});
    let connection = hub.connect_as(&body).await;
    for id in [
        "aa000000000000ff",
        "AA000000000000FF",
        "aa-00-00-00-00-00-00-ff",
    ] {
        let message = json!({"id": id, "data": "01"}).to_string().into_bytes();
        let receipt = ingest(&hub, &connection, "", message).await.ok();
        assert_eq!(receipt["status"], "recorded", "{id}: {receipt}");
        assert_eq!(receipt["device_id"], "AA000000000000FF", "{id}");
    }
    assert_eq!(hub.list("devices").await.len(), 1);
}

async fn a_wrong_rule_is_refused(database: Database) {
    let hub = Hub::start(database).await;
    for (rule, wanted) in [
        (
            json!({"network_device_id_pattern": "("}),
            "auto_provisioning.network_device_id_pattern: must be a regular expression",
        ),
        (
            json!({"id_template": "{eui}"}),
            "auto_provisioning.id_template: {eui} is unknown",
        ),
        (
            json!({"driver": "acme/none:1"}),
            "auto_provisioning.driver: there is no driver acme/none:1",
        ),
        (json!({"more": 1}), "auto_provisioning.more"),
    ] {
        let body = json!({"name": "l", "settings": {"type": "loriot"}, "auto_provisioning": rule});
        let error = hub.post("network-connections", &body).await.refused(400);
        assert!(error.starts_with(wanted), "{error}");
    }
}
