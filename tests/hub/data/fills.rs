//! Data tables that are filled from the uplinks that arrived before them.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        rows::{count, fill as insert, time},
        server::{Connection, Hub, PASSWORD},
    },
};

on_both_databases!(
    a_new_table_gets_the_rows_of_stored_uplinks,
    what_is_there_already_is_not_added_twice,
    a_fill_has_the_uplinks_of_its_period_and_device,
    a_fill_goes_on_after_its_hub_was_killed,
    a_fill_that_cannot_be_begun_says_why,
);

const EUI: &str = "AA00000000000001";
/// Driver that returns its first byte, and for 2 and more bytes values with times of their own.
const SCRIPT: &str = "function decode(bytes) {
    if (bytes.length < 2) return {updates: [{values: {n: bytes[0], extra: 'x'}}]};
    return {updates: [
        {timestamp: '2026-01-31T11:00:00Z', values: {n: bytes[0]}},
        {timestamp: '2026-01-31T11:30:00Z', values: {n: bytes[1]}}
    ]};
}";

/// Starts a hub with a driver, and with a device `d` that tables select by `kept`.
pub async fn hub_with(database: Database) -> (Hub, Connection) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", SCRIPT).await;
    let more = json!({"driver": "a/b:1", "labels": ["kept"]});
    hub.device("d", &connection, EUI, more).await;
    (hub, connection)
}

/// Sends an uplink of the device.
pub async fn send(hub: &Hub, connection: &Connection, payload: &str) {
    let message = json!({
        "end_device_ids": {"device_id": "d", "dev_eui": EUI, "dev_addr": "00000001"},
        "uplink_message": {"f_cnt": crate::support::server::next_frame(), "f_port": 5,
            "received_at": "2026-01-31T12:00:00Z", "frm_payload": payload},
    });
    let receipt = hub.ingest(connection, message.to_string()).await.ok();
    assert_eq!(receipt["status"], "recorded", "{receipt}");
}

/// Adds a data table.
pub async fn table(hub: &Hub, name: &str, more: Value) -> i64 {
    let mut body = json!({"name": name, "selector": "kept"});
    for (member, value) in more.as_object().unwrap() {
        body[member] = value.clone();
    }
    let table = hub.post("data-tables", &body).await.created();
    table["id"].as_i64().unwrap()
}

/// Fills a table, and returns the fill when it is done.
pub async fn filled(hub: &Hub, table: i64, body: &Value) -> Value {
    let path = format!("data-tables/{table}");
    let begun = hub.post(&format!("{path}/fill"), body).await.created();
    let path = format!("{path}/fills/{}", begun["id"]);
    done(hub, &path).await
}

/// Waits until a fill is done.
pub async fn done(hub: &Hub, path: &str) -> Value {
    eventually("the fill is done", async || {
        Some(hub.get(path).await.ok()).filter(|fill| fill["state"] == "done")
    })
    .await
}

/// Times and data of the rows, in the order of a list.
pub async fn rows(hub: &Hub, table: i64) -> Vec<(Value, Value)> {
    let rows = hub.list(&format!("data-tables/{table}/rows")).await;
    let mut rows: Vec<(Value, Value)> = rows
        .into_iter()
        .map(|row| (row["time"].clone(), row["data"].clone()))
        .collect();
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

async fn a_new_table_gets_the_rows_of_stored_uplinks(database: Database) {
    let (hub, connection) = hub_with(database).await;
    let before = table(&hub, "before", json!({})).await;
    let columns = json!({"columns": [{"path": "n", "type": "number"}]});
    let columned = table(&hub, "columned", columns.clone()).await;
    for payload in ["AQ==", "AgM=", "BA==", ""] {
        send(&hub, &connection, payload).await;
    }
    let later = table(&hub, "later", json!({})).await;
    let later_columned = table(&hub, "later columned", columns).await;
    let others = table(&hub, "others", json!({"selector": "!kept"})).await;
    let short = table(&hub, "short", json!({"retention_days": 1})).await;
    assert_eq!(rows(&hub, before).await.len(), 4);

    let fill = filled(&hub, later, &json!({})).await;
    assert_eq!((&fill["uplinks"], &fill["rows"]), (&json!(4), &json!(4)));
    assert_eq!(fill["from"], Value::Null);
    assert!(fill["finished_at"].is_string(), "{fill}");
    assert_eq!(rows(&hub, later).await, rows(&hub, before).await);
    filled(&hub, later_columned, &json!({})).await;
    assert_eq!(rows(&hub, later_columned).await, rows(&hub, columned).await);
    let fill = filled(&hub, others, &json!({})).await;
    assert_eq!(fill["rows"], 0, "of devices that it does not select");
    let fill = filled(&hub, short, &json!({})).await;
    assert_eq!(fill["rows"], 0, "of a time for which it keeps none");

    let listed = hub.list(&format!("data-tables/{short}/fills")).await;
    assert_eq!(listed, std::slice::from_ref(&fill));
    let of = |table: i64| format!("data-tables/{table}/fills/{}", fill["id"]);
    assert_eq!(hub.get(&of(short)).await.ok(), fill);
    hub.get(&of(others)).await.refused(404);
    let entry = hub.list("audit-log?action=create_fill").await.remove(0);
    assert_eq!(entry["resource"], "data-tables");
    assert_eq!(entry["resource_id"], short.to_string());
}

async fn what_is_there_already_is_not_added_twice(database: Database) {
    let (hub, connection) = hub_with(database).await;
    send(&hub, &connection, "AQ==").await;
    let table = table(&hub, "t", json!({})).await;
    send(&hub, &connection, "AgM=").await;
    let fill = filled(&hub, table, &json!({})).await;
    assert_eq!(fill["rows"], 1, "the other uplink has its rows");
    let all = rows(&hub, table).await;
    assert_eq!(all.len(), 3);
    for _ in 0..2 {
        let fill = filled(&hub, table, &json!({"device_id": "d"})).await;
        assert_eq!((&fill["uplinks"], &fill["rows"]), (&json!(2), &json!(0)));
    }
    // Rows that an older version has written do not name their uplink.
    hub.sql("UPDATE data_table_rows SET uplink_id = NULL").await;
    assert_eq!(filled(&hub, table, &json!({})).await["rows"], 0);
    // Deleted rows come back.
    let deleted = hub
        .delete(&format!("data-tables/{table}/rows?to=2026-01-31T11:15:00Z"))
        .await;
    assert_eq!(deleted.ok()["deleted"], 1);
    assert_eq!(filled(&hub, table, &json!({})).await["rows"], 1);
    assert_eq!(rows(&hub, table).await, all);
}

/// Adds uplinks that have data, with ids in the order of their numbers.
pub async fn add_uplinks(hub: &Hub, connection: &Connection, days: i64, many: u32) {
    let at = time(days);
    let ids = crate::support::rows::ids(hub, days);
    let data = match &hub.database {
        Database::Sqlite => "json_object('n', n.i)",
        Database::Postgres(_) => "jsonb_build_object('n', n.i)",
    };
    let columns = "tenant_id, id, device_key, connection_id, received_at, ts, radio, data";
    let values = format!("1, {ids}, 1, {}, {at}, {at}, '{{}}', {data}", connection.id);
    insert(hub, many, "uplinks", columns, &values).await;
}

async fn a_fill_has_the_uplinks_of_its_period_and_device(database: Database) {
    let (hub, connection) = hub_with(database).await;
    for (days, many) in [(1, 3), (3, 700), (5, 2)] {
        add_uplinks(&hub, &connection, days, many).await;
    }
    let other = json!({"labels": ["kept"]});
    hub.device("other", &connection, "AA00000000000002", other)
        .await;
    for (name, body, expected) in [
        ("all", json!({}), 705),
        ("one", json!({"device_id": "d"}), 705),
        ("none", json!({"device_id": "other"}), 0),
        ("late", json!({"from": crate::support::rows::ago(2)}), 3),
        (
            "early",
            json!({"to": crate::support::rows::ago(2), "device_id": "d"}),
            702,
        ),
        ("far", json!({"to": "2999-01-01T00:00:00Z"}), 705),
    ] {
        let table = table(&hub, name, json!({})).await;
        let fill = filled(&hub, table, &body).await;
        assert_eq!(fill["rows"], expected, "{name}: {fill}");
        let kept = count(
            &hub,
            &format!("data_table_rows WHERE data_table_id = {table}"),
        )
        .await;
        assert_eq!(kept, expected, "{name}");
        assert!(fill["to"].as_str().unwrap() < "2900", "{fill}");
    }
}

async fn a_fill_goes_on_after_its_hub_was_killed(database: Database) {
    let (mut hub, connection) = hub_with(database).await;
    add_uplinks(&hub, &connection, 1, 20_000).await;
    let table = table(&hub, "t", json!({})).await;
    let path = format!("data-tables/{table}");
    let begun = hub
        .post(&format!("{path}/fill"), &json!({}))
        .await
        .created();
    let path = format!("{path}/fills/{}", begun["id"]);
    eventually("some rows are there", async || {
        let rows = hub.get(&path).await.ok()["rows"].as_u64().unwrap();
        (rows > 0).then_some(())
    })
    .await;
    hub.end(Signal::SIGKILL).await;
    let there = count(&hub, "data_table_rows").await;
    assert!(there > 0 && there < 20_000, "{there} rows");
    hub.start_again().await;
    let fill = done(&hub, &path).await;
    assert_eq!(fill["rows"], 20_000, "{fill}");
    assert_eq!(fill["uplinks"], 20_000, "{fill}");
    assert_eq!(count(&hub, "data_table_rows").await, 20_000);
    let distinct = "(SELECT DISTINCT uplink_id FROM data_table_rows) AS uplinks";
    assert_eq!(count(&hub, distinct).await, 20_000);
}

async fn a_fill_that_cannot_be_begun_says_why(database: Database) {
    let (mut hub, _) = hub_with(database).await;
    let table = table(&hub, "t", json!({})).await;
    let path = format!("data-tables/{table}/fill");
    let span = json!({"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"});
    let error = hub.post(&path, &span).await.refused(400);
    assert_eq!(error, "to: must not be before from");
    let device = json!({"device_id": "gone"});
    hub.post(&path, &device).await.refused(404);
    hub.post("data-tables/9999/fill", &json!({}))
        .await
        .refused(404);
    hub.get("data-tables/9999/fills").await.refused(404);
    // Fills that are running, and never get their turn.
    let columns =
        "tenant_id, created_at, updated_at, data_table_id, state, span_to, uplinks, rows_added";
    let now = time(0);
    let values = format!("1, {now}, {now}, {table}, 'running', {now}, 0, 0");
    hub.end(Signal::SIGTERM).await;
    insert(&hub, 5, "data_table_fills", columns, &values).await;
    hub.refuse("UPDATE ON data_table_fills", "true").await;
    hub.may_complain = true;
    hub.start_again().await;
    let error = hub.post(&path, &json!({})).await.refused(400);
    assert!(error.starts_with("5 fills are running already"), "{error}");
    hub.user("viewer", "viewer").await;
    hub.token = hub.log_in("viewer", PASSWORD).await;
    hub.post(&path, &json!({})).await.refused(403);
}
