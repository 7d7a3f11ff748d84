//! Decoding stored uplinks again for real, and what stateful drivers keep of a device.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    sample_json,
    support::{
        database::{Database, on_both_databases},
        server::{Answer, Connection, Hub},
        sink::Sink,
    },
};

on_both_databases!(
    uplinks_rows_and_report_are_replaced,
    health_is_that_of_the_last_uplink_with_data,
    a_part_leaves_what_the_device_reports,
    a_state_is_built_anew_over_all_stretches,
    of_those_who_go_on_behind_one_stretch_one_does,
    what_is_kept_is_shown_and_emptied,
    a_ts013_driver_keeps_a_state_as_well,
);

const EUI: &str = "AA00000000000001";

/// Counts by so many, from uplink to uplink.
fn counter(by: u8) -> String {
    format!(
        "function decode(bytes, port, state) {{
            var count = (state.count || 0) + {by};
            return {{new_state: {{count: count}}, updates: [{{values: {{byte: bytes[0]}}}}]}};
        }}"
    )
}

async fn send(hub: &Hub, connection: &Connection, minute: usize, payload: &[u8]) {
    let mut message = sample_json("ttn_v3_milesight_am102.json");
    message["end_device_ids"]["dev_eui"] = EUI.into();
    message["received_at"] = at(minute).into();
    message["uplink_message"]["f_cnt"] = minute.into();
    message["uplink_message"]["received_at"] = at(minute).into();
    message["uplink_message"]["frm_payload"] = STANDARD.encode(payload).into();
    hub.ingest(connection, message.to_string()).await.ok();
}

fn at(minute: usize) -> String {
    format!("2026-01-31T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

impl Hub {
    async fn rewrite(&self, query: &str) -> Answer {
        let path = format!("devices/d/redecode?dry_run=false{query}");
        self.post(&path, &json!({})).await
    }

    /// All stretches of so many; answers how many there were.
    async fn rewrite_all(&self, query: &str) -> usize {
        let (mut cursor, mut stretches) = (String::new(), 0);
        loop {
            let answer = self.rewrite(&format!("{query}{cursor}")).await.ok();
            stretches += 1;
            match answer["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return stretches,
            }
        }
    }

    async fn reported(&self) -> Value {
        self.get("devices/d").await.ok()["state"]["reported"].clone()
    }

    /// The data of the device's uplinks, the oldest first.
    async fn data(&self) -> Vec<Value> {
        let uplinks = self.list("devices/d/uplinks").await;
        let data = uplinks.into_iter().rev();
        data.map(|mut uplink| uplink["data"].take()).collect()
    }
}

/// The data of the rows, without ids, in the order of their times.
async fn rows(hub: &Hub, table: &Value) -> Vec<(String, Value)> {
    let rows = hub.list(&format!("data-tables/{table}/rows")).await;
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|mut row| {
            let time = row["time"].as_str().unwrap().to_owned();
            (time, row["data"].take())
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

async fn uplinks_rows_and_report_are_replaced(database: Database) {
    let hub = Hub::start_with(database, &["--outgoing-allow", "127.0.0.0/8"]).await;
    let connection = hub.connect("tts").await;
    let old = "function decode(b) {
        if (b[0] === 3) throw new Error('three');
        return {t: b[0], old: 1};
    }";
    let new = "function decode(b) {
        if (b[0] === 2) throw new Error('two');
        if (b[0] === 1) return {updates: [
            {timestamp: '2026-01-30T00:00:00Z', values: {t: 10}}, {values: {t: 11}}]};
        return {t: b[0] * 10};
    }";
    hub.push("a/b", "1", old).await;
    hub.push("a/b", "2", new).await;
    hub.device(
        "d",
        &connection,
        EUI,
        json!({"driver": "a/b:1", "labels": ["kept"]}),
    )
    .await;
    let table = json!({"name": "t", "selector": "kept"});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    let sink = Sink::willing().await;
    let integration = hub.integration("i", "kept", &sink.url).await;
    for byte in 1..=4 {
        send(&hub, &connection, byte.into(), &[byte]).await;
    }
    sink.gets(4).await;
    assert_eq!(hub.reported().await, json!({"t": 4, "old": 1}));

    // Twice, in stretches of different sizes: nothing doubles.
    for (limit, stretches) in [(3, 2), (1, 4)] {
        let query = format!("&driver=a/b:2&limit={limit}");
        assert_eq!(hub.rewrite_all(&query).await, stretches);
        let (null, t) = (Value::Null, |t: u8| json!({"t": t}));
        assert_eq!(hub.data().await, [t(11), null, t(30), t(40)]);
        assert_eq!(
            rows(&hub, &table).await,
            [
                ("2026-01-30T00:00:00Z".to_owned(), t(10)),
                (at(1), t(11)),
                (at(3), t(30)),
                (at(4), t(40))
            ]
        );
        assert_eq!(
            hub.reported().await,
            t(40),
            "without what is no longer decoded"
        );
    }
    let uplinks = hub.list("devices/d/uplinks").await;
    let errors: Vec<_> = uplinks
        .iter()
        .map(|uplink| &uplink["error"]["message"])
        .collect();
    assert_eq!(
        errors,
        [&Value::Null, &Value::Null, &json!("two"), &Value::Null]
    );
    assert_eq!(uplinks[3]["updates"][0]["values"], json!({"t": 10}));

    let event = hub
        .list("devices/d/events?kind=redecoded")
        .await
        .pop()
        .unwrap();
    let told = "3 uplinks were decoded again with a/b:2: 2 changed, 1 failed";
    assert_eq!(event["message"], told);
    assert_eq!(event["details"]["first"], at(1));
    let entry = hub.list("audit-log").await.remove(0);
    assert_eq!(entry["action"], "redecode_device_uplinks");
    assert_eq!(entry["resource_id"], "d");
    assert_eq!(entry["after"]["driver"], "a/b:2");
    // Other systems get new uplinks, and not this one again.
    let deliveries = hub
        .list(&format!("integrations/{integration}/deliveries"))
        .await;
    assert_eq!(deliveries.len(), 4);
    // The next uplink goes on as ever.
    send(&hub, &connection, 5, &[5]).await;
    assert_eq!(hub.reported().await, json!({"t": 5, "old": 1}));
    assert_eq!(rows(&hub, &table).await.len(), 5);
}

async fn health_is_that_of_the_last_uplink_with_data(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode() { throw new Error('no') }")
        .await;
    hub.push("a/b", "2", "function decode() { return {} }")
        .await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    let health = async || hub.get("devices/d").await.ok()["health"].clone();
    send(&hub, &connection, 1, &[1]).await;
    assert_eq!(health().await, "failing");
    // A frame without data is nothing that the driver could fail on.
    send(&hub, &connection, 2, &[]).await;
    assert_eq!(health().await, "failing");
    for limit in [10, 1] {
        for (driver, expected) in [("a/b:1", "failing"), ("a/b:2", "ok"), ("a/b:1", "failing")] {
            hub.rewrite_all(&format!("&driver={driver}&limit={limit}"))
                .await;
            assert_eq!(health().await, expected, "{driver}, {limit} at a time");
        }
    }
}

async fn a_part_leaves_what_the_device_reports(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode(b) { return {t: b[0]}; }")
        .await;
    hub.push("a/b", "2", "function decode(b) { return {u: b[0]}; }")
        .await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    for minute in 0..4_u8 {
        send(&hub, &connection, minute.into(), &[minute]).await;
    }
    let (t, u) = (|t: u8| json!({"t": t}), |u: u8| json!({"u": u}));
    let part = format!("&driver=a/b:2&from={}&to={}", at(1), at(3));
    assert_eq!(hub.rewrite_all(&part).await, 1);
    assert_eq!(hub.data().await, [t(0), u(1), u(2), t(3)]);
    assert_eq!(hub.reported().await, t(3));
    // An uplink that was decoded late reaches the device's state when its turn comes.
    assert_eq!(
        hub.rewrite_all(&format!("&driver=a/b:2&from={}", at(3)))
            .await,
        1
    );
    assert_eq!(hub.reported().await, u(3));
    let none = hub.rewrite(&format!("&from={}", at(9))).await.ok();
    assert_eq!(none["collection"], json!([]));
    assert_eq!(none["dry_run"], false);
    hub.rewrite("&driver=a/none").await.refused(400);
}

async fn a_state_is_built_anew_over_all_stretches(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/counter", "1", &counter(1)).await;
    hub.push("a/counter", "2", &counter(2)).await;
    hub.push("a/other", "1", &counter(100)).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/counter:1"}))
        .await;
    for minute in 0..5_u8 {
        send(&hub, &connection, minute.into(), &[minute]).await;
    }
    assert_eq!(hub.reported().await, json!({"byte": 4, "count": 5}));
    // A part of the uplinks, or another driver, does not know what the device's driver would keep.
    hub.rewrite_all(&format!("&driver=a/counter:2&from={}", at(2)))
        .await;
    hub.rewrite_all("&driver=a/other:1").await;
    assert_eq!(hub.reported().await, json!({"byte": 4, "count": 5}));

    let first = hub.rewrite("&driver=a/counter:2&limit=2").await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = format!("&driver=a/counter:2&limit=2&cursor={cursor}");
    let second = hub.rewrite(&next).await.ok();
    // The stretch behind the first one has been written: its state is no longer known.
    let refused = hub.rewrite(&next).await.refused(400);
    assert!(
        refused.starts_with("cursor: the stretch before"),
        "{refused}"
    );
    let cursor = second["next_cursor"].as_str().unwrap();
    let last = format!("&driver=a/counter:2&limit=2&cursor={cursor}");
    assert_eq!(hub.rewrite(&last).await.ok()["next_cursor"], Value::Null);
    assert_eq!(hub.reported().await, json!({"byte": 4, "count": 10}));
    send(&hub, &connection, 6, &[6]).await;
    assert_eq!(hub.reported().await, json!({"byte": 6, "count": 11}));
}

async fn of_those_who_go_on_behind_one_stretch_one_does(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", &counter(1)).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    for minute in 1..=8 {
        send(&hub, &connection, minute, &[1]).await;
    }
    let mut cursor = String::new();
    for _ in 0..7 {
        let query = format!("&limit=1{cursor}");
        let writers = match cursor.as_str() {
            "" => 1,
            _ => 3,
        };
        let answers = (0..writers).map(|_| hub.rewrite(&query));
        let answers = futures_util::future::join_all(answers).await;
        let (written, refused): (Vec<Answer>, Vec<Answer>) =
            answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(written.len(), 1, "{written:#?}");
        for refused in refused {
            let error = refused.refused(400);
            assert!(error.starts_with("cursor: "), "{error}");
        }
        let next = written[0].body["next_cursor"].as_str().unwrap();
        cursor = format!("&cursor={next}");
    }
}

async fn what_is_kept_is_shown_and_emptied(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/counter", "1", &counter(1)).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/counter:1"}))
        .await;
    let kept = async || hub.get("devices/d/driver-state").await.ok();
    let nothing = json!({"driver": null, "state": {}});
    assert_eq!(kept().await, nothing);
    assert_eq!(hub.delete("devices/d/driver-state").await.ok(), nothing);
    for minute in 0..2 {
        send(&hub, &connection, minute, &[7]).await;
    }
    let two = json!({"driver": "a/counter", "state": {"count": 2}});
    assert_eq!(kept().await, two);
    let other = json!({"driver": "a/counter:1"});
    hub.device("e", &connection, "AA000000000000EE", other)
        .await;
    hub.uplink(&connection, "AA000000000000EE").await;
    let of_other = async || hub.get("devices/e").await.ok()["state"]["reported"].clone();
    let theirs = of_other().await;
    assert_eq!(theirs["count"], 1);
    assert_eq!(hub.delete("devices/d/driver-state").await.ok(), two);
    assert_eq!(kept().await, json!({"driver": "a/counter", "state": {}}));
    assert_eq!(hub.reported().await, json!({"byte": 7}));
    assert_eq!(of_other().await, theirs);
    let entry = hub.list("audit-log").await.remove(0);
    assert_eq!(
        (&entry["action"], &entry["before"]),
        (&json!("delete_driver_state"), &two)
    );
    send(&hub, &connection, 2, &[8]).await;
    assert_eq!(hub.reported().await, json!({"byte": 8, "count": 1}));
    hub.get("devices/none/driver-state").await.refused(404);
    hub.delete("devices/none/driver-state").await.refused(404);
}

async fn a_ts013_driver_keeps_a_state_as_well(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let script = "function decodeUplink(input) {
        var total = (input.state.total || 0) + input.bytes[0];
        if (input.bytes[0] === 9) return {data: {}, new_state: 9};
        return {data: {byte: input.bytes[0]}, new_state: {total: total}, warnings: ['w']};
    }";
    hub.push("a/sum", "1", script).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/sum:1"}))
        .await;
    for minute in 1..4_u8 {
        send(&hub, &connection, minute.into(), &[minute]).await;
    }
    assert_eq!(hub.reported().await, json!({"byte": 3, "total": 6}));
    // The device's measurements are kept apart from its driver's state.
    assert_eq!(hub.data().await[2], json!({"byte": 3}));
    assert_eq!(
        hub.list("devices/d/uplinks").await[0]["updates"],
        Value::Null
    );
    send(&hub, &connection, 4, &[9]).await;
    let event = hub
        .list("devices/d/events?kind=driver_failed")
        .await
        .remove(0);
    assert_eq!(
        event["message"],
        "decodeUplink's new_state is a number instead of an object"
    );
    assert_eq!(hub.reported().await["total"], 6);
}
