//! Stored uplinks decoded again by another version of their driver.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    sample_json,
    support::{
        database::{Database, on_both_databases},
        server::{Connection, Hub},
    },
};

on_both_databases!(
    another_version_is_compared_and_nothing_changes,
    stretches_make_up_the_whole,
    a_state_goes_from_uplink_to_uplink,
    what_cannot_be_compared_is_refused,
);

const EUI: &str = "AA00000000000001";

/// Sends a payload that the network received at this minute of a day.
async fn send(hub: &Hub, connection: &Connection, minute: usize, payload: &[u8]) {
    let mut message = sample_json("ttn_v3_milesight_am102.json");
    message["end_device_ids"]["dev_eui"] = EUI.into();
    message["received_at"] = at(minute).into();
    message["uplink_message"]["f_cnt"] = minute.into();
    message["uplink_message"]["received_at"] = at(minute).into();
    message["uplink_message"]["frm_payload"] = STANDARD.encode(payload).into();
    message["uplink_message"]["f_cnt"] = crate::support::server::next_frame().into();
    hub.ingest(connection, message.to_string()).await.ok();
}

fn at(minute: usize) -> String {
    format!("2026-01-31T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

impl Hub {
    async fn redecode(&self, query: &str) -> Value {
        let path = format!("devices/d/redecode{query}");
        self.post(&path, &json!({})).await.ok()
    }
}

fn each<'a>(answer: &'a Value, member: &str) -> Vec<&'a Value> {
    let uplinks = answer["collection"].as_array().unwrap().iter();
    uplinks.map(|uplink| &uplink[member]).collect()
}

fn totals(answer: &Value) -> [u64; 3] {
    ["unchanged", "changed", "failed"].map(|total| answer[total].as_u64().unwrap())
}

async fn another_version_is_compared_and_nothing_changes(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let old = "function decode(b) {
        if (b[0] === 3) throw new Error('three');
        return {t: b[0], door: {open: b[0] > 1}};
    }";
    let new = "function decode(b) {
        if (b[0] === 2) throw new Error('two');
        return {t: b[0] === 1 ? 1 : 30, door: {open: b[0] > 1}, at: 1};
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
    for byte in 1..=4 {
        send(&hub, &connection, byte.into(), &[byte]).await;
    }
    let kept = async || {
        let device = hub.get("devices/d").await.ok();
        let rows = hub.list(&format!("data-tables/{table}/rows")).await;
        let (uplinks, events) = (
            hub.list("devices/d/uplinks").await,
            hub.list("devices/d/events").await,
        );
        json!([device, rows, uplinks, events, hub.list("audit-log").await])
    };
    let before = kept().await;

    let same = hub.redecode("").await;
    assert_eq!(totals(&same), [3, 0, 1]);
    assert_eq!(same["next_cursor"], Value::Null);
    assert!(
        each(&same, "changed")
            .iter()
            .all(|paths| **paths == json!([]))
    );
    assert_eq!(each(&same, "after"), each(&same, "before"));

    let other = hub.redecode("?driver=a/b:2").await;
    assert_eq!(totals(&other), [0, 3, 1]);
    let data = |t: u8, open: bool| json!({"t": t, "door": {"open": open}});
    assert_eq!(
        each(&other, "before"),
        [
            &data(1, false),
            &data(2, true),
            &Value::Null,
            &data(4, true)
        ]
    );
    assert_eq!(
        each(&other, "after")[0],
        &json!({"t": 1, "door": {"open": false}, "at": 1})
    );
    assert_eq!(
        each(&other, "changed"),
        [
            &json!(["at"]),
            &json!(["t", "door"]),
            &json!(["t", "door", "at"]),
            &json!(["t", "at"])
        ]
    );
    assert_eq!(each(&other, "error")[1]["message"], "two");
    assert_eq!(each(&other, "error")[2], &Value::Null);
    let stored = hub.list("devices/d/uplinks").await;
    let ids: Vec<_> = stored.iter().rev().map(|uplink| &uplink["id"]).collect();
    assert_eq!(each(&other, "id"), ids);
    assert_eq!(kept().await, before);
}

async fn stretches_make_up_the_whole(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "latest", "function decode(b) { return {n: b[0]}; }")
        .await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b"}))
        .await;
    for number in 0..7 {
        // Two of each time: time and id together make the place.
        send(&hub, &connection, usize::from(number / 2), &[number]).await;
    }
    let mut found = Vec::new();
    let mut cursor = String::new();
    let query = format!("?limit=2&from={}&to={}", at(0), at(3));
    loop {
        let answer = hub.redecode(&format!("{query}{cursor}")).await;
        let data = each(&answer, "after").into_iter();
        found.extend(data.map(|data| data["n"].as_u64().unwrap()));
        match answer["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, [0, 1, 2, 3, 4, 5], "before the end of the span");
    let rest = hub.redecode(&format!("?from={}", at(3))).await;
    assert_eq!(each(&rest, "after"), [&json!({"n": 6})]);
    let none = hub.redecode(&format!("?to={}", at(0))).await;
    assert_eq!(none["collection"], json!([]));
    let path = format!("devices/d/redecode?driver=a/b{cursor}");
    let refused = hub.post(&path, &json!({})).await.refused(400);
    assert!(refused.starts_with("cursor: "), "{refused}");
}

async fn a_state_goes_from_uplink_to_uplink(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let counts = |by: u8| {
        format!(
            "function decode(bytes, port, state) {{
                var count = (state.count || 0) + {by};
                return {{new_state: {{count: count}}, updates: [{{values: {{count: count}}}}]}};
            }}"
        )
    };
    hub.push("a/counter", "1", &counts(1)).await;
    hub.push("a/counter", "2", &counts(2)).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/counter:1"}))
        .await;
    for minute in 0..3 {
        send(&hub, &connection, minute, &[0]).await;
    }
    assert_eq!(totals(&hub.redecode("").await), [3, 0, 0]);
    let other = hub.redecode("?driver=a/counter:2").await;
    let count = |count: u8| json!({"count": count});
    assert_eq!(each(&other, "after"), [&count(2), &count(4), &count(6)]);
    // The driver's state starts from the beginning for each span, and the device's own state is not
    // affected.
    let late = hub.redecode(&format!("?from={}", at(1))).await;
    assert_eq!(each(&late, "after"), [&count(1), &count(2)]);
    send(&hub, &connection, 3, &[0]).await;
    assert_eq!(hub.list("devices/d/uplinks").await[0]["data"], count(4));
}

async fn what_cannot_be_compared_is_refused(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    for (query, told) in [
        ("", "driver: must be given: the device has no driver"),
        ("?driver=a/b:1", "driver: there is no driver a/b:1"),
        ("?driver=thingshub/none", "driver: there is no driver"),
        ("?driver=xyz", "driver: must read"),
        (
            "?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "to: must not be before from",
        ),
        ("?from=yesterday", "from: must be a time"),
        ("?limit=1001", "limit: must be an integer"),
        ("?cursor=abc", "cursor: "),
        ("?dry_run=maybe", "dry_run: "),
    ] {
        let path = format!("devices/d/redecode{query}");
        let refused = hub.post(&path, &json!({})).await.refused(400);
        assert!(refused.starts_with(told), "{told}: {refused}");
    }
    hub.post("devices/none/redecode", &json!({}))
        .await
        .refused(404);
    // An uplink that no driver could read is no failure of the new one.
    send(&hub, &connection, 0, &[1, 0x67, 0, 10]).await;
    let lpp = hub.redecode("?driver=thingshub/cayenne-lpp").await;
    assert_eq!(each(&lpp, "after"), [&json!({"temperature_1": 1.0})]);
    assert_eq!(each(&lpp, "before"), [&Value::Null]);
}
