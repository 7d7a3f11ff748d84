//! Results of drivers other than plain fields: built-in drivers, states, several updates.

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    sample_json,
    support::{
        database::{Database, on_both_databases, on_postgres},
        server::{Answer, Connection, Hub, things_stack},
        sink::Sink,
    },
};

on_both_databases!(
    cayenne_lpp_needs_no_script,
    a_counter_counts_every_uplink_of_its_own_device,
    several_updates_are_rows_and_state_in_the_order_of_their_times,
    log_lines_are_stored_with_the_event,
    a_state_that_is_refused_leaves_the_old_one,
    a_state_is_its_drivers_own,
);

const EUI: &str = "1000000000000001";

/// Counts, and adds the payload's bytes to what it keeps.
const COUNTER: &str = "function decode(payload, port, state) {
    if (payload[0] === 0xff) throw new Error('bad payload');
    var count = (state.count || 0) + 1;
    var text = payload[0] === 0xfe ? 'x'.repeat(20000) : undefined;
    return {new_state: {count: count, text: text}, updates: [{values: {count: count, byte: payload[0]}}]};
}";

fn message(eui: &str, payload: &[u8]) -> String {
    let mut message = sample_json("ttn_v3_milesight_am102.json");
    message["end_device_ids"]["dev_eui"] = eui.into();
    message["uplink_message"]["frm_payload"] = STANDARD.encode(payload).into();
    message["uplink_message"]["f_cnt"] = crate::support::server::next_frame().into();
    message.to_string()
}

async fn send(hub: &Hub, connection: &Connection, payload: &[u8]) -> Answer {
    hub.ingest(connection, message(EUI, payload)).await
}

async fn reported(hub: &Hub, device: &str) -> Value {
    let device = hub.get(&format!("devices/{device}")).await.ok();
    device["state"]["reported"].clone()
}

async fn cayenne_lpp_needs_no_script(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let more = json!({"driver": "thingshub/cayenne-lpp"});
    hub.device("a", &connection, EUI, more).await;
    let lpp = async |hex: &str| {
        let payload = hex::decode(hex).unwrap();
        send(&hub, &connection, &payload).await.ok()
    };
    lpp("03670110056700FF").await;
    let expected = json!({"temperature_3": 27.2, "temperature_5": 25.5});
    assert_eq!(hub.list("devices/a/uplinks").await[0]["data"], expected);
    assert_eq!(reported(&hub, "a").await, expected);

    lpp("03670110056700").await;
    let told = "byte 6: temperature of channel 5 needs 2 bytes, and has 1";
    let uplink = hub.list("devices/a/uplinks").await.remove(0);
    assert_eq!(uplink["raw"], "03670110056700");
    assert_eq!(uplink["data"], Value::Null);
    assert_eq!(
        (&uplink["error"]["kind"], &uplink["error"]["message"]),
        (&json!("payload"), &json!(told))
    );
    let event = hub.list("devices/a/events").await.remove(0);
    assert_eq!(
        (&event["kind"], &event["message"]),
        (&json!("driver_failed"), &json!(told))
    );
    assert_eq!(reported(&hub, "a").await, expected);

    let body = json!({"author": "thingshub", "name": "mine", "tags": ["1"],
        "script": "function decode() { return {} }"});
    let refused = hub.post("drivers", &body).await.refused(400);
    assert!(
        refused.starts_with("author: must not be thingshub"),
        "{refused}"
    );
}

async fn a_counter_counts_every_uplink_of_its_own_device(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/counter", "1", COUNTER).await;
    let euis = [EUI, "2000000000000002"];
    for (id, eui) in ["one", "two"].iter().zip(euis) {
        hub.device(id, &connection, eui, json!({"driver": "a/counter:1"}))
            .await;
    }
    let one = (0..50).map(|byte| hub.ingest(&connection, message(EUI, &[byte])));
    let two = (0..7).map(|byte| hub.ingest(&connection, message(euis[1], &[byte])));
    let (one, two) = futures_util::join!(join_all(one), join_all(two));
    for answer in one.into_iter().chain(two) {
        answer.ok();
    }
    assert_eq!(reported(&hub, "one").await["count"], 50);
    assert_eq!(reported(&hub, "two").await["count"], 7);
    assert_counted(&hub, "one", 50).await;
    assert_counted(&hub, "two", 7).await;
}

/// Every uplink of the device has a count of its own, from 1 on.
async fn assert_counted(hub: &Hub, device: &str, uplinks: usize) {
    let listed = hub
        .list(&format!("devices/{device}/uplinks?limit=1000"))
        .await;
    let mut counts: Vec<u64> = listed
        .iter()
        .map(|uplink| uplink["data"]["count"].as_u64().unwrap())
        .collect();
    counts.sort_unstable();
    let expected: Vec<u64> = (1..=uplinks as u64).collect();
    assert_eq!(counts, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_counts_across_two_hubs() {
    on_postgres(async |database: Database| {
        let one = Hub::start(database.clone()).await;
        let two = Hub::start(database).await;
        let connection = one.connect("tts").await;
        one.push("a/counter", "1", COUNTER).await;
        one.device("d", &connection, EUI, json!({"driver": "a/counter:1"}))
            .await;
        let sent = (0..50).map(|byte| {
            let hub = if byte % 2 == 0 { &one } else { &two };
            hub.ingest(&connection, message(EUI, &[byte]))
        });
        for answer in join_all(sent).await {
            answer.ok();
        }
        assert_eq!(reported(&two, "d").await["count"], 50);
        assert_counted(&one, "d", 50).await;
    })
    .await;
}

async fn several_updates_are_rows_and_state_in_the_order_of_their_times(database: Database) {
    let hub = Hub::start_with(database, &["--outgoing-allow", "127.0.0.0/8"]).await;
    let sink = Sink::willing().await;
    let connection = hub.connect("tts").await;
    let script = "function decode() {
        return {updates: [
            {timestamp: '2026-01-31T12:00:00Z', values: {t: 3}},
            {timestamp: '2026-01-31T10:00:00Z', values: {t: 1, h: 40}},
            {timestamp: new Date(Date.UTC(2026, 0, 31, 11)), values: {t: 2}},
        ]};
    }";
    hub.push("a/history", "1", script).await;
    let more = json!({"driver": "a/history:1", "labels": ["kept"]});
    hub.device("d", &connection, EUI, more).await;
    let table = json!({"name": "t", "selector": "kept"});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    hub.integration("erp", "kept", &sink.url).await;
    hub.ingest(&connection, things_stack(EUI)).await.ok();

    let latest = json!({"t": 3, "h": 40});
    let uplink = hub.list("devices/d/uplinks").await.remove(0);
    assert_eq!(uplink["data"], latest);
    let times = |values: &Value| -> Vec<String> {
        let updates = values.as_array().unwrap().iter();
        updates
            .map(|update| format!("{} {}", update["timestamp"], update["values"]["t"]))
            .collect()
    };
    assert_eq!(uplink["updates"].as_array().unwrap().len(), 3);
    assert_eq!(uplink["updates"][0]["values"], json!({"t": 1, "h": 40}));
    let order =
        [(10, 1), (11, 2), (12, 3)].map(|(hour, t)| format!("\"2026-01-31T{hour}:00:00Z\" {t}"));
    assert_eq!(times(&uplink["updates"]), order);
    assert_eq!(reported(&hub, "d").await, latest);

    let mut rows = hub.list(&format!("data-tables/{table}/rows")).await;
    rows.sort_by_key(|row| row["time"].to_string());
    let rows: Vec<_> = rows.iter().map(|row| &row["data"]).collect();
    assert_eq!(
        rows,
        [
            &json!({"t": 1, "h": 40}),
            &json!({"t": 2}),
            &json!({"t": 3})
        ]
    );

    let delivered = sink.gets(1).await.remove(0);
    assert_eq!(delivered.body["data"], latest);
    assert_eq!(times(&delivered.body["updates"]), order);
}

async fn log_lines_are_stored_with_the_event(database: Database) {
    let hub = Hub::start_with(database, &["--driver-log-lines", "200"]).await;
    let connection = hub.connect("tts").await;
    let script = "function decodeUplink(input) {
        var first = input.bytes[0];
        for (var line = 0; line < (first === 8 ? 300 : 1); line++) console.log('seen', first, line);
        if (first === 9) throw new Error('no');
        return {data: {}, warnings: first === 7 ? ['w'] : []};
    }";
    hub.push("a/says", "1", script).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/says:1"}))
        .await;
    for (byte, kind, message) in [
        (6, "driver_logged", "seen 6 0"),
        (7, "driver_warning", "w"),
        (9, "driver_failed", "no (line 4)"),
    ] {
        send(&hub, &connection, &[byte]).await.ok();
        let told = hub.list("devices/d/events").await.remove(0);
        assert_eq!(
            (&told["kind"], &told["message"]),
            (&json!(kind), &json!(message))
        );
        let lines = json!([format!("seen {byte} 0")]);
        assert_eq!(told["details"]["logs"], lines, "{told}");
    }
    // No more than an event holds, and then it says so.
    send(&hub, &connection, &[8]).await.ok();
    let told = hub.list("devices/d/events").await.remove(0);
    let logs = told["details"]["logs"].as_array().unwrap();
    assert_eq!((logs.len(), &logs[99]), (101, &json!("seen 8 99")));
    assert_eq!(logs[100], "(further lines were left out)");
}

async fn a_state_that_is_refused_leaves_the_old_one(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/counter", "1", COUNTER).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/counter:1"}))
        .await;
    send(&hub, &connection, &[1]).await.ok();
    for (payload, kind, told) in [
        (0xfe, "state", "limit of 16384 bytes of state exceeded"),
        (0xff, "exception", "bad payload"),
    ] {
        send(&hub, &connection, &[payload]).await.ok();
        let event = hub.list("devices/d/events").await.remove(0);
        assert_eq!(event["kind"], "driver_failed");
        assert_eq!(event["details"]["kind"], kind);
        let message = event["message"].as_str().unwrap();
        assert!(message.contains(told), "{message}");
        assert_eq!(reported(&hub, "d").await, json!({"count": 1, "byte": 1}));
    }
    send(&hub, &connection, &[2]).await.ok();
    assert_eq!(reported(&hub, "d").await, json!({"count": 2, "byte": 2}));
}

async fn a_state_is_its_drivers_own(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let keeps = |what: &str| {
        format!(
            "function decode(payload, port, state) {{
                var seen = Object.keys(state).sort().join();
                return {{new_state: {{{what}: payload[0]}}, updates: [{{values: {{seen: seen}}}}]}};
            }}"
        )
    };
    hub.push("a/one", "1", &keeps("a")).await;
    hub.push("a/one", "2", &keeps("b")).await;
    hub.push("a/two", "1", &keeps("c")).await;
    let device = hub
        .device("d", &connection, EUI, json!({"driver": "a/one:1"}))
        .await;
    let follow = async |driver: &str| {
        let body = json!({"driver": driver, "connectivity": device["connectivity"]});
        hub.put("devices/d", &body).await.ok();
        send(&hub, &connection, &[7]).await.ok();
        reported(&hub, "d").await
    };
    assert_eq!(follow("a/one:1").await, json!({"seen": "", "a": 7}));
    assert_eq!(follow("a/one:1").await, json!({"seen": "a", "a": 7}));
    // Another version of the driver goes on with its state, and may give up what it kept.
    assert_eq!(follow("a/one:2").await, json!({"seen": "a", "b": 7}));
    assert_eq!(follow("a/one:2").await, json!({"seen": "b", "b": 7}));
    // Another driver starts without a state.
    assert_eq!(follow("a/two:1").await, json!({"seen": "", "b": 7, "c": 7}));
}
