//! Values that must never look like a measurement: frames without data, results that are no numbers, times that
//! cannot be true.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Connection, Hub, next_frame},
    sink::Sink,
};

on_both_databases!(
    a_frame_without_data_is_heard_and_not_decoded,
    a_frame_without_data_leaves_no_mark_on_a_state,
    what_was_made_of_nothing_goes_when_it_is_decoded_again,
    what_is_no_number_leaves_the_last_good_value,
    a_time_that_cannot_be_true_is_the_hubs_own,
    a_driver_cannot_tell_of_times_that_cannot_be_true,
    a_hubs_clock_that_was_ahead_freezes_nothing,
);

const EUI: &str = "AA00000000000001";

/// Makes -32 °C of nothing, as drivers do that read bytes that are not there.
const EAGER: &str = "function decodeUplink(input) {
    var b = input.bytes;
    return {data: {temperature: (b[0] & 0x7f) - 32}};
}";

/// A message of The Things Stack, which leaves out zeros.
fn message(f_port: u8, payload: &str) -> Value {
    let mut uplink = json!({"f_cnt": next_frame(), "received_at": "2026-01-31T12:00:00Z"});
    if f_port > 0 {
        uplink["f_port"] = f_port.into();
    }
    if !payload.is_empty() {
        uplink["frm_payload"] = payload.into();
    }
    json!({
        "end_device_ids": {"device_id": "d", "dev_eui": EUI, "dev_addr": "00000001"},
        "uplink_message": uplink,
    })
}

async fn send(hub: &Hub, connection: &Connection, message: &Value) -> Value {
    let receipt = hub.ingest(connection, message.to_string()).await.ok();
    assert_eq!(receipt["status"], "recorded", "{receipt}");
    hub.list("devices/d/uplinks").await.remove(0)
}

/// A hub with a device `d` that has this driver, and a table of what it decodes.
async fn hub_with(database: Database, script: &str) -> (Hub, Connection, String) {
    let hub = Hub::start_with(database, &["--outgoing-allow", "127.0.0.0/8"]).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", script).await;
    let more = json!({"driver": "a/b:1", "labels": ["kept"]});
    hub.device("d", &connection, EUI, more).await;
    let table = json!({"name": "t", "selector": "kept"});
    let table = hub.post("data-tables", &table).await.created();
    let rows = format!("data-tables/{}/rows", table["id"]);
    (hub, connection, rows)
}

async fn reported(hub: &Hub) -> Value {
    hub.get("devices/d").await.ok()["state"]["reported"].clone()
}

async fn a_frame_without_data_is_heard_and_not_decoded(database: Database) {
    let (hub, connection, rows) = hub_with(database, EAGER).await;
    let sink = Sink::willing().await;
    let target = json!({"name": "all", "selector": "kept", "events": ["data", "raw"],
        "target": {"type": "http", "url": sink.url}});
    hub.post("integrations", &target).await.created();

    // Nothing at all, nothing on a port, and commands of LoRaWAN on port 0.
    for (f_port, payload) in [(0, ""), (5, ""), (0, "AgM=")] {
        let uplink = send(&hub, &connection, &message(f_port, payload)).await;
        assert_eq!(uplink["data"], Value::Null, "{uplink}");
        assert_eq!(uplink["error"], Value::Null, "{uplink}");
        assert_eq!(uplink["f_port"], f_port);
    }
    let device = hub.get("devices/d").await.ok();
    assert_eq!(device["state"]["reported"], json!({}), "{device}");
    assert_eq!(device["health"], "ok", "it was heard");
    assert!(device["last_data_received"]["received_at"].is_string());
    assert_eq!(hub.list(&rows).await, Vec::<Value>::new());

    // A frame with data, behind which the sink has all that will ever come.
    let uplink = send(&hub, &connection, &message(5, "Sg==")).await;
    assert_eq!(uplink["data"], json!({"temperature": 42}));
    assert_eq!(reported(&hub).await, json!({"temperature": 42}));
    assert_eq!(hub.list(&rows).await.len(), 1);
    let received = sink.gets(5).await;
    let with_data = received.iter().filter(|one| !one.body["data"].is_null());
    assert_eq!(with_data.count(), 1);
    assert_eq!(received.len(), 5, "four raw ones, and one with data");

    // A driver that is tried says why.
    for (payload, f_port) in [("", 5), ("0203", 0)] {
        let trial = json!({"driver": "a/b:1", "payload_hex": payload, "f_port": f_port});
        let tried = hub.post("drivers/try", &trial).await.ok();
        assert_eq!(tried["data"], Value::Null, "{tried}");
        assert_eq!(tried["error"]["kind"], "no_data", "{tried}");
    }
}

async fn a_frame_without_data_leaves_no_mark_on_a_state(database: Database) {
    let script = "function decode(bytes, port, state) {
        var count = (state.count || 0) + 1;
        return {new_state: {count: count}, updates: [{values: {first: bytes[0]}}]};
    }";
    let (hub, connection, _) = hub_with(database, script).await;
    send(&hub, &connection, &message(5, "AQ==")).await;
    // A later one without data, and then one with data that was received between the two.
    let mut empty = message(0, "");
    empty["uplink_message"]["received_at"] = json!("2026-01-31T12:00:20Z");
    send(&hub, &connection, &empty).await;
    let mut between = message(5, "Ag==");
    between["uplink_message"]["received_at"] = json!("2026-01-31T12:00:10Z");
    send(&hub, &connection, &between).await;
    assert_eq!(reported(&hub).await, json!({"count": 2, "first": 2}));
}

async fn what_was_made_of_nothing_goes_when_it_is_decoded_again(database: Database) {
    let (hub, connection, _) = hub_with(database, EAGER).await;
    send(&hub, &connection, &message(0, "")).await;
    // Data as an older version of the hub has stored it.
    hub.sql("UPDATE uplinks SET data = '{\"temperature\": -32}'")
        .await;
    let path = "devices/d/redecode?driver=a/b:1&dry_run=false";
    let answer = hub.post(path, &json!({})).await.ok();
    assert_eq!(answer["changed"], 1, "{answer}");
    let uplink = hub.list("devices/d/uplinks").await.remove(0);
    assert_eq!(uplink["data"], Value::Null, "{uplink}");
    assert_eq!(uplink["error"], Value::Null, "{uplink}");
}

async fn what_is_no_number_leaves_the_last_good_value(database: Database) {
    let script = "function decodeUplink(input) {
        var odd = input.bytes[0] ? [NaN, Infinity, -Infinity, new Date(NaN), new Number(NaN)] : [1, 2, 3, 4, 5];
        return {
            data: {t: odd[0], h: odd[1], low: odd[2], at: odd[3], boxed: odd[4], door: {angle: odd[0], open: true},
                   list: [1, odd[0]], steps: [{a: odd[0], b: 1}], none: null, good: 7},
            new_state: {total: odd[0], n: input.bytes[0]}
        };
    }";
    let (hub, connection, rows) = hub_with(database, script).await;
    send(&hub, &connection, &message(5, "AA==")).await;
    let good = reported(&hub).await;
    assert_eq!(good["t"], 1);
    let uplink = send(&hub, &connection, &message(5, "AQ==")).await;
    let left = json!({"door": {"open": true}, "steps": [{"b": 1}], "none": null, "good": 7});
    assert_eq!(uplink["data"], left);
    let now = reported(&hub).await;
    for name in ["t", "h", "low", "at", "boxed", "list", "total"] {
        assert_eq!(now[name], good[name], "{name}: {now}");
    }
    assert_eq!(now["n"], 1, "{now}");
    let kept = hub.list(&rows).await;
    assert!(kept.iter().any(|row| row["data"] == left), "{kept:?}");
    let events = hub.list("devices/d/events?kind=driver_warning").await;
    let warnings = events[0]["details"]["warnings"].to_string();
    for path in [
        "t",
        "h",
        "low",
        "at",
        "boxed",
        "door.angle",
        "list.1",
        "steps.0.a",
        "new_state.total",
    ] {
        assert!(
            warnings.contains(&format!("\"{path}: is no number")),
            "{path}: {warnings}"
        );
    }
    assert_eq!(events.len(), 1, "{events:?}");
    let state = hub.get("devices/d/driver-state").await.ok();
    assert_eq!(state["state"]["total"], 1, "{state}");
}

fn in_minutes(minutes: i64) -> String {
    let time = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    let time = time + chrono::TimeDelta::minutes(minutes);
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

async fn a_time_that_cannot_be_true_is_the_hubs_own(database: Database) {
    let (hub, connection, rows) = hub_with(database, EAGER).await;
    let path = format!("network-connections/{}", connection.id);
    let ahead = in_minutes(10);
    let odd = [
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:01Z",
        "1999-12-31T23:59:59Z",
        &ahead,
        "yesterday",
    ];
    for (count, time) in (1..).zip(odd) {
        let mut told = message(5, "Sg==");
        told["uplink_message"]["received_at"] = time.into();
        let uplink = send(&hub, &connection, &told).await;
        assert_eq!(uplink["time"], uplink["received_at"], "{time}");
        assert_eq!(uplink["radio"]["reported_time"], time, "{uplink}");
        let health = hub.get(&path).await.ok()["health"].clone();
        assert_eq!(health["implausible_times"], count, "{health}");
        let why = health["last_implausible_time"].as_str().unwrap();
        assert!(why.contains(time), "{why}");
        assert!(health["last_implausible_time_at"].is_string());
        assert_eq!(health["state"], "ok", "{health}");
    }
    let kept = hub.list(&rows).await;
    assert_eq!(kept.len(), odd.len());
    for row in kept {
        assert!(row["time"].as_str().unwrap() < ahead.as_str(), "{row}");
    }
    // A clock that is a little ahead is believed.
    let little = in_minutes(2);
    let mut told = message(5, "Sg==");
    told["uplink_message"]["received_at"] = little.clone().into();
    let uplink = send(&hub, &connection, &told).await;
    assert_eq!(uplink["radio"]["reported_time"], Value::Null);
    assert!(
        uplink["time"].as_str() > uplink["received_at"].as_str(),
        "{uplink}"
    );
}

async fn a_driver_cannot_tell_of_times_that_cannot_be_true(database: Database) {
    let script = "function decode(bytes) {
        return {updates: [
            {timestamp: '1970-01-01T00:00:00Z', values: {a: 1}},
            {timestamp: Date.now() + 86400000, values: {b: 2}},
            {timestamp: '2026-01-31T11:00:00Z', values: {c: 3}}
        ]};
    }";
    let (hub, connection, rows) = hub_with(database, script).await;
    let uplink = send(&hub, &connection, &message(5, "AQ==")).await;
    assert_eq!(uplink["data"], json!({"a": 1, "b": 2, "c": 3}));
    let mut times: Vec<String> = hub
        .list(&rows)
        .await
        .iter()
        .map(|row| row["time"].to_string())
        .collect();
    times.sort_unstable();
    assert!(times[0].contains("2026-01-31T11:00:00"), "{times:?}");
    assert!(times[1].contains("2026-01-31T12:00:00"), "{times:?}");
    assert_eq!(times[1], times[2]);
    let event = hub
        .list("devices/d/events?kind=driver_warning")
        .await
        .remove(0);
    let told = event["message"].as_str().unwrap();
    assert!(
        told.contains("updates.0.timestamp") && told.contains("updates.1.timestamp"),
        "{told}"
    );
}

async fn a_hubs_clock_that_was_ahead_freezes_nothing(database: Database) {
    let (hub, connection, _) = hub_with(database, EAGER).await;
    let path = format!("network-connections/{}", connection.id);
    send(&hub, &connection, &message(5, "Sg==")).await;
    hub.ingest(&connection, "{").await.refused(400);
    assert_eq!(hub.get(&path).await.ok()["health"]["state"], "failing");
    // A time as stored by a hub whose clock is a year ahead.
    let ahead = in_minutes(365 * 24 * 60).replace('Z', "+00:00");
    hub.sql(&format!(
        "UPDATE device_states SET newest_at = '{ahead}', received_at = '{ahead}'"
    ))
    .await;
    hub.sql(&format!(
        "UPDATE connection_health SET last_error_at = '{ahead}'"
    ))
    .await;
    send(&hub, &connection, &message(5, "Qg==")).await;
    assert_eq!(reported(&hub).await, json!({"temperature": 34}));
    let device = hub.get("devices/d").await.ok();
    let received_at = device["last_data_received"]["received_at"]
        .as_str()
        .unwrap();
    assert!(received_at < ahead.as_str(), "{device}");
    assert_eq!(hub.get(&path).await.ok()["health"]["state"], "ok");
    hub.sql(&format!(
        "UPDATE connection_health SET last_message_at = '{ahead}'"
    ))
    .await;
    hub.ingest(&connection, "{").await.refused(400);
    assert_eq!(hub.get(&path).await.ok()["health"]["state"], "failing");
}
