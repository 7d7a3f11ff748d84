//! Copies of a frame, and frames that only look like copies.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    eventually, sample, sample_json,
    support::{
        database::{Database, on_both_databases},
        server::{Connection, Hub},
        sink::Sink,
    },
};

on_both_databases!(
    each_press_of_a_button_without_a_counter_counts,
    a_counter_that_comes_again_is_a_copy_for_seconds,
    a_copy_over_another_connection_is_known,
    without_a_window_nothing_is_a_copy,
    after_the_window_nothing_is_a_copy,
    a_late_frame_is_a_row_and_is_forwarded,
    a_copy_adds_what_the_first_one_did_not_tell,
);

const EUI: &str = "0011223344556677";

/// A message of each kind of network server, of a device that counts nothing: what it sends of the press
/// number `n`, a few seconds after the one before.
fn press(kind: &str, n: u64) -> Value {
    let at = format!("2026-01-31T12:00:{:02}.123456Z", 4 * n);
    let at_ms = 1_769_860_800_123 + 4_000 * n;
    match kind {
        "the_things_stack" => json!({
            "end_device_ids": {"device_id": "d", "dev_eui": EUI, "dev_addr": "00000001"},
            "correlation_ids": [format!("gs:uplink:{n}")], "received_at": at,
            "uplink_message": {"f_port": 2, "frm_payload": "AQ==", "received_at": at},
        }),
        "chirpstack" => json!({
            "deduplicationId": format!("3ac7e3c4-4401-4b8d-9386-a5c902f9202{n}"), "time": at,
            "deviceInfo": {"applicationId": "a", "deviceName": "d", "devEui": EUI},
            "devAddr": "00000001", "fPort": 2, "data": "AQ==",
            "rxInfo": [{"gatewayId": "0000000000000001", "rssi": -36, "snr": 10.5}],
        }),
        "actility" => json!({"DevEUI_uplink": {
            "DevEUI": EUI, "DevAddr": "00000001", "FPort": "2", "FCntUp": "0", "payload_hex": "01", "Time": at,
        }}),
        "loriot" => {
            json!({"cmd": "rx", "EUI": EUI, "seqno": 18 + n, "ts": at_ms, "fcnt": 0, "port": 2,
            "data": "01"})
        }
        "kerlink" => {
            json!({"id": format!("5c5{n}"), "endDevice": {"devEui": EUI, "devAddr": "00000001"},
            "fPort": 2, "fCntUp": 0, "payload": "01", "recvTime": at_ms})
        }
        "everynet" => json!({"type": "uplink", "meta": {"device": EUI, "device_addr": "00000001"},
            "params": {"rx_time": at_ms as f64 / 1e3, "port": 2, "counter_up": 0, "payload": "AQ=="}}),
        "helium" => {
            json!({"type": "uplink", "dev_eui": EUI, "devaddr": "00000001", "port": 2, "fcnt": 0,
            "payload": "AQ==", "reported_at": at_ms})
        }
        "sigfox" => json!({"device": "1A2B3C", "time": at_ms / 1000, "data": "01", "seqNumber": 0}),
        "http" => json!({"id": EUI, "p": "01", "t": at}),
        other => panic!("no messages of {other}"),
    }
}

async fn connect(hub: &Hub, kind: &str, name: &str) -> Connection {
    let settings = match kind {
        "http" => {
            json!({"type": "http", "mapping": { "device_id_pointer": "/id", "payload_pointer": "/p",
            "payload_encoding": "hex", "time_pointer": "/t"}})
        }
        kind => json!({"type": kind}),
    };
    hub.connect_as(&json!({"name": name, "settings": settings}))
        .await
}

fn address(kind: &str) -> &'static str {
    match kind {
        "sigfox" => "1A2B3C",
        _ => EUI,
    }
}

async fn status(hub: &Hub, connection: &Connection, message: &Value) -> String {
    let receipt = hub.ingest(connection, message.to_string()).await.ok();
    receipt["status"].as_str().unwrap().to_owned()
}

async fn each_press_of_a_button_without_a_counter_counts(database: Database) {
    let hub = Hub::start(database).await;
    for kind in [
        "the_things_stack",
        "chirpstack",
        "actility",
        "loriot",
        "kerlink",
        "everynet",
        "helium",
        "sigfox",
        "http",
    ] {
        let connection = connect(&hub, kind, kind).await;
        let id = kind.replace('_', "-");
        hub.device(&id, &connection, address(kind), json!({})).await;
        for n in 0..3 {
            assert_eq!(
                status(&hub, &connection, &press(kind, n)).await,
                "recorded",
                "{kind} {n}"
            );
            // An uplink that was not answered in time comes again unchanged.
            assert_eq!(
                status(&hub, &connection, &press(kind, n)).await,
                "duplicate",
                "{kind} {n}"
            );
        }
        assert_eq!(
            status(&hub, &connection, &press(kind, 0)).await,
            "duplicate",
            "{kind}"
        );
        assert_eq!(
            hub.list(&format!("devices/{id}/uplinks")).await.len(),
            3,
            "{kind}"
        );
    }
}

fn counted(kind: &str, second: u64, reception: u64) -> Value {
    let mut message = press(kind, reception);
    let at = json!(format!("2026-01-31T12:00:{second:02}Z"));
    if kind == "chirpstack" {
        message["fCnt"] = json!(7);
        message["time"] = at;
    } else {
        message["uplink_message"]["f_cnt"] = json!(7);
        message["uplink_message"]["received_at"] = at;
    }
    message
}

async fn a_counter_that_comes_again_is_a_copy_for_seconds(database: Database) {
    let hub = Hub::start(database).await;
    for kind in ["the_things_stack", "chirpstack"] {
        let connection = connect(&hub, kind, kind).await;
        let id = kind.replace('_', "-");
        hub.device(&id, &connection, EUI, json!({})).await;
        for (second, reception, wanted) in [
            (0, 0, "recorded"),
            (0, 0, "duplicate"),
            // A gateway passes this on late, and the network checks no counters.
            (3, 1, "duplicate"),
            // A device that has started again.
            (45, 2, "recorded"),
            (45, 2, "duplicate"),
        ] {
            let message = counted(kind, second, reception);
            assert_eq!(
                status(&hub, &connection, &message).await,
                wanted,
                "{kind} {second}"
            );
        }
    }
}

async fn a_copy_over_another_connection_is_known(database: Database) {
    let hub = Hub::start(database).await;
    let (one, two) = (
        connect(&hub, "chirpstack", "one").await,
        connect(&hub, "chirpstack", "two").await,
    );
    let body = json!({"id": "d", "connectivity": {"connections": [
        {"network_connection_id": one.id, "network_device_id": EUI},
        {"network_connection_id": two.id, "network_device_id": EUI}]}});
    hub.post("devices", &body).await.created();
    for (connection, message, wanted) in [
        // Two network servers with ids and clocks of their own.
        (&one, counted("chirpstack", 0, 0), "recorded"),
        (&two, counted("chirpstack", 2, 1), "duplicate"),
        // A network server that posts to both connections.
        (&one, press("chirpstack", 2), "recorded"),
        (&two, press("chirpstack", 2), "duplicate"),
        (&two, press("chirpstack", 3), "recorded"),
    ] {
        assert_eq!(
            status(&hub, connection, &message).await,
            wanted,
            "{message}"
        );
    }
}

async fn without_a_window_nothing_is_a_copy(database: Database) {
    let hub = Hub::start_with(database, &["--dedupe-window-s", "0"]).await;
    let connection = connect(&hub, "loriot", "loriot").await;
    hub.device("d", &connection, "1000000000000001", json!({}))
        .await;
    for _ in 0..10 {
        let receipt = hub.ingest(&connection, sample("loriot.json")).await.ok();
        assert_eq!(receipt["status"], "recorded");
    }
}

async fn a_copy_adds_what_the_first_one_did_not_tell(database: Database) {
    let hub = Hub::start(database).await;
    let loriot = connect(&hub, "loriot", "loriot").await;
    hub.device("l", &loriot, "1000000000000001", json!({}))
        .await;
    let gateways = async || {
        let uplink = hub.list("devices/l/uplinks").await.remove(0);
        uplink["radio"]["receptions"].as_array().map_or(0, Vec::len)
    };
    let statuses = ["recorded", "duplicate", "duplicate"];
    for (message, wanted) in ["loriot.json", "loriot_gw.json", "loriot_gw.json"]
        .iter()
        .zip(statuses)
    {
        assert_eq!(status(&hub, &loriot, &sample_json(message)).await, wanted);
    }
    assert_eq!(gateways().await, 2);

    let sigfox = connect(&hub, "sigfox", "sigfox").await;
    hub.device("s", &sigfox, "1A2B3C", json!({})).await;
    let heard_by = |station: &str, rssi: f64, snr: f64| {
        json!({"device": "1A2B3C", "time": 1_600_000_000, "data": "01", "seqNumber": 9, "station": station,
            "rssi": rssi, "snr": snr})
    };
    let mut located = heard_by("C", -130.0, 20.0);
    located["computedLocation"] = json!({"lat": 50.0, "lng": 8.0, "radius": 3500, "status": 1});
    for (message, wanted) in [
        (heard_by("A", -120.0, 1.0), "recorded"),
        (heard_by("B", -110.0, 9.0), "duplicate"),
        (located.clone(), "duplicate"),
        (located, "duplicate"),
    ] {
        assert_eq!(status(&hub, &sigfox, &message).await, wanted);
    }
    let uplink = hub.list("devices/s/uplinks").await.remove(0);
    assert_eq!(
        uplink["radio"]["receptions"].as_array().unwrap().len(),
        3,
        "{uplink}"
    );
    // Those of the one that heard it best.
    assert_eq!(uplink["radio"]["rssi"], -110.0);
    assert_eq!(uplink["radio"]["snr"], 9.0);
    let events = hub.list("devices/s/events?kind=location").await;
    assert_eq!(events.len(), 1, "told twice, noted once: {events:?}");
}

async fn after_the_window_nothing_is_a_copy(database: Database) {
    let hub = Hub::start_with(database, &["--dedupe-window-s", "5"]).await;
    let connection = connect(&hub, "loriot", "loriot").await;
    hub.device("d", &connection, "1000000000000001", json!({}))
        .await;
    let again = async || {
        let receipt = hub.ingest(&connection, sample("loriot.json")).await.ok();
        receipt["status"].as_str().unwrap().to_owned()
    };
    // The window is one between records, which are a moment later than the arrivals.
    let begun = Instant::now();
    assert_eq!(again().await, "recorded");
    assert_eq!(again().await, "duplicate");
    // A copy does not make the window longer.
    eventually("the window is over", async || {
        (again().await == "recorded").then_some(())
    })
    .await;
    let apart = begun.elapsed();
    assert!(apart >= Duration::from_secs(5), "{apart:?}");
}

async fn a_late_frame_is_a_row_and_is_forwarded(database: Database) {
    let hub = Hub::start_with(database, &["--outgoing-allow", "127.0.0.0/8"]).await;
    let connection = connect(&hub, "loriot", "loriot").await;
    hub.push("a/b", "1", "function decode(p) { return { n: p[0] } }")
        .await;
    let more = json!({"driver": "a/b:1"});
    hub.device("d", &connection, "1000000000000001", more).await;
    let sink = Sink::willing().await;
    hub.integration("erp", "", &sink.url).await;
    let table = json!({"name": "t", "selector": ""});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    let at = |minute: u64| 1_769_860_800_000 + minute * 60_000;
    // The second one is an hour older than the first one.
    for (counter, minute, value) in [(8, 60, "02"), (7, 0, "01")] {
        let frame = json!({"cmd": "rx", "EUI": "1000000000000001", "seqno": counter, "ts": at(minute),
            "fcnt": counter, "port": 2, "data": value});
        assert_eq!(status(&hub, &connection, &frame).await, "recorded");
    }
    let rows = hub.list(&format!("data-tables/{table}/rows")).await;
    let rows: Vec<(&str, &Value)> = rows
        .iter()
        .map(|row| (row["time"].as_str().unwrap(), &row["data"]["n"]))
        .collect();
    let times = ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00Z"];
    assert_eq!(rows, [(times[0], &json!(1)), (times[1], &json!(2))]);
    let device = hub.get("devices/d").await.ok();
    assert_eq!(device["state"]["reported"], json!({"n": 2}));
    let mut forwarded: Vec<Value> = sink
        .gets(2)
        .await
        .iter()
        .map(|message| message.body["data"]["n"].clone())
        .collect();
    forwarded.sort_by_key(Value::as_i64);
    assert_eq!(forwarded, [1, 2]);
}
