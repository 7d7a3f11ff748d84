//! The queries of the hot paths go by indexes, also where the database's statistics are those of a time when
//! it was nearly empty.
//!
//! On SQLite the hub's own statements are read from its log and explained; on PostgreSQL the server counts
//! what it has read from beginning to end.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    devices::importing::import,
    eventually,
    support::{
        database::{Database, on_postgres, query_text, query_texts},
        server::{Connection, Hub, things_stack},
    },
};

/// Devices that are there when the hub goes on.
const MANY: usize = 20_000;
/// Tables that grow with the devices and what they send.
const LARGE: [&str; 9] = [
    "devices",
    "device_states",
    "device_labels",
    "device_connections",
    "driver_states",
    "uplinks",
    "events",
    "deliveries",
    "data_table_rows",
];

fn eui(number: usize) -> String {
    format!("AA{number:014}")
}

/// A hub with one of everything, whose database knows by how much that is.
async fn nearly_empty(database: Database) -> (Hub, Connection, Value, i64) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let labels = json!({"labels": ["kept"]});
    hub.device("first", &connection, &eui(MANY + 1), labels)
        .await;
    let table = json!({"name": "t", "selector": "kept"});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    let integration = hub
        .integration("i", "kept", "https://nowhere.invalid/")
        .await;
    hub.uplink(&connection, &eui(MANY + 1)).await;
    hub.sql("ANALYZE").await;
    (hub, connection, table, integration)
}

/// Makes many devices behind the hub's back, each with an uplink, an event, a row and a settled delivery.
async fn grow(hub: &Hub, connection: &Connection, table: &Value, integration: i64) {
    // Recent, so that it is nobody's to clean up: a chunk to delete is worth reading a small table for.
    let at = thingshub::clock::now() - TimeDelta::hours(1);
    let at = format!("'{}'", at.format("%Y-%m-%dT%H:%M:%S%.6f+00:00"));
    let (id, numbers, padded) = match &hub.database {
        Database::Sqlite => (
            "randomblob(16)",
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
                 SELECT i FROM n) AS n"
            ),
            "printf('AA%014d', n.i)",
        ),
        Database::Postgres(_) => (
            "gen_random_uuid()",
            format!("generate_series(1, {MANY}) AS n(i)"),
            "'AA' || lpad(n.i::text, 14, '0')",
        ),
    };
    let connection = connection.id;
    let key = "(1000 + n.i)";
    let from = format!("FROM {numbers}");
    for statement in [
        format!(
            "INSERT INTO devices (tenant_id, id, created_at, updated_at, revision, device_id, name, \
             description, metadata, labels, connections) SELECT 1, {key}, {at}, {at}, 1, \
             'd' || n.i, 'Device ' || n.i, '', '{{}}', '[\"kept\"]', '[]' {from}"
        ),
        format!(
            "INSERT INTO device_states (tenant_id, device_key, reported, desired, is_failing) \
             SELECT 1, {key}, '{{}}', '{{}}', FALSE {from}"
        ),
        format!(
            "INSERT INTO device_labels (tenant_id, device_key, label) SELECT 1, {key}, 'kept' {from}"
        ),
        format!(
            "INSERT INTO device_connections (tenant_id, device_key, connection_id, network_device_id) \
             SELECT 1, {key}, {connection}, {padded} {from}"
        ),
        format!(
            "INSERT INTO uplinks (tenant_id, id, device_key, connection_id, received_at, ts, radio) \
             SELECT 1, {id}, {key}, {connection}, {at}, {at}, '{{}}' {from}"
        ),
        format!(
            "INSERT INTO events (tenant_id, id, kind, device_key, connection_id, at, message, details) \
             SELECT 1, {id}, 'join', {key}, {connection}, {at}, '', '{{}}' {from}"
        ),
        format!(
            "INSERT INTO data_table_rows (tenant_id, id, data_table_id, device_id, ts, data) \
             SELECT 1, {id}, {table}, 'd' || n.i, {at}, '{{}}' {from}"
        ),
        format!(
            "INSERT INTO deliveries (tenant_id, id, integration_id, device_id, subject_id, state, \
             attempt, body, created_at, updated_at) SELECT 1, {id}, {integration}, 'd' || n.i, {id}, \
             'delivered', 1, '{{}}', {at}, {at} {from}"
        ),
    ] {
        hub.sql(&statement).await;
    }
}

/// The everyday work of a hub.
async fn work(hub: &Hub, connection: &Connection, table: &Value, integration: i64) {
    for number in (1..=MANY).step_by(MANY / 50) {
        let receipt = hub.ingest(connection, things_stack(&eui(number))).await;
        assert_eq!(receipt.ok()["status"], "recorded");
    }
    let mut join = crate::sample_json("ttn_v3_join.json");
    join["end_device_ids"]["dev_eui"] = eui(7).into();
    hub.ingest(connection, join.to_string()).await.ok();
    for path in [
        "devices".to_owned(),
        "devices?sort=-updated_at".to_owned(),
        "devices?sort=name".to_owned(),
        "devices?sort=-last_seen".to_owned(),
        "devices/d7".to_owned(),
        "devices/d7/uplinks".to_owned(),
        "devices/d7/uplinks?from=-7d".to_owned(),
        "devices/d7/events".to_owned(),
        "devices/d7/state".to_owned(),
        "devices/d7/downlinks".to_owned(),
        format!("data-tables/{table}/rows"),
        format!("data-tables/{table}/rows?sort=-time&from=-7d"),
        format!("data-tables/{table}/rows?filter=t>30"),
        format!("data-tables/{table}/rows?device_id=d7"),
        format!("data-tables/{table}/rows?device_id=d7&sort=-time&filter=t>30"),
        format!("integrations/{integration}/deliveries"),
        format!("network-connections/{}/events", connection.id),
        format!("network-connections/{}/unknown-devices", connection.id),
    ] {
        hub.get(&path).await.ok();
    }
    eventually("something is delivered, or fails to be", async || {
        let path = format!("integrations/{integration}");
        let health = hub.get(&path).await.ok()["health"].clone();
        (health["failed_attempts"] != 0 || health["delivered"] != 0).then_some(())
    })
    .await;
}

/// Changes of many devices at once.
async fn change_many(hub: &Hub, table: &Value) {
    let rows = (1..=200).map(|number| format!("d{number},kept;many\nnew{number},many\n"));
    let file = format!("id,labels\n{}", rows.collect::<String>());
    let import = import(hub, file).await;
    assert_eq!(import["updated"], 200, "{import}");
    assert_eq!(import["created"], 200, "{import}");
    for action in [
        json!({"type": "add_labels", "labels": ["more"]}),
        json!({"type": "delete"}),
    ] {
        let change = json!({"selector": "many", "action": action});
        let changed = hub.post("devices/bulk", &change).await.ok();
        assert_eq!(changed["changed"], 400, "{changed}");
    }
    hub.put("devices/d201", &json!({"labels": ["kept", "x"]}))
        .await
        .ok();
    hub.delete("devices/d202").await.ok();
    let path = format!("data-tables/{table}/rows?device_id=d203&to=2100-01-01");
    hub.delete(&path).await.ok();
}

/// The statements in the log, each once.
fn statements(log: &str) -> BTreeSet<String> {
    let fields = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["target"] == "sqlx::query")
        .map(|line| line["fields"].clone());
    fields
        .map(|fields| {
            let whole = fields["db.statement"].as_str().unwrap_or_default().trim();
            match whole {
                "" => fields["summary"].as_str().unwrap_or_default().to_owned(),
                whole => whole.to_owned(),
            }
        })
        .filter(|sql| {
            let starts = ["SELECT", "UPDATE", "DELETE", "INSERT", "WITH"];
            starts.iter().any(|start| sql.starts_with(start))
        })
        .collect()
}

/// True if a statement names many rows.
fn names_keys(sql: &str) -> bool {
    sql.contains(" IN (?, ?, ?, ?, ?, ?, ?, ?")
}

/// True if a step of a plan reads all rows of a tenant in a large table.
fn is_by_tenant_alone(step: &str) -> bool {
    let searched = step.strip_prefix("SEARCH ");
    let table = searched.and_then(|rest| rest.split(' ').next());
    table.is_some_and(|table| LARGE.contains(&table)) && step.ends_with("(tenant_id=?)")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_nearly_empty_is_read_by_its_indexes() {
    let (mut hub, connection, table, integration) = nearly_empty(Database::Sqlite).await;
    hub.end(Signal::SIGTERM).await;
    grow(&hub, &connection, &table, integration).await;
    let statements_in_log = [
        "--log-format",
        "json",
        "--log-filter",
        "info,sqlx::query=debug",
    ];
    hub.start_again_with(&statements_in_log).await;
    work(&hub, &connection, &table, integration).await;
    change_many(&hub, &table).await;

    let statements = statements(&hub.log());
    let is_seen = |words: &str| statements.iter().any(|sql| sql.contains(words));
    for hot in [
        "FROM \"device_connections\"",
        "FROM \"device_states\"",
        "INSERT INTO \"uplinks\"",
        "FROM \"deliveries\"",
        "FROM \"data_table_rows\"",
    ] {
        assert!(is_seen(hot), "{hot} is in no statement of {statements:#?}");
    }
    let url = hub.database_url();
    let mut scans = Vec::new();
    for sql in &statements {
        let steps = query_texts(&url, &format!("EXPLAIN QUERY PLAN {sql}"), "detail").await;
        for step in steps {
            let scanned = step
                .strip_prefix("SCAN ")
                .and_then(|rest| rest.split(' ').next());
            let is_scan = scanned.is_some_and(|table| LARGE.contains(&table));
            if is_scan || (names_keys(sql) && is_by_tenant_alone(&step)) {
                scans.push(format!("{step}: {sql}"));
            }
        }
    }
    assert!(scans.is_empty(), "{scans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_nearly_empty_is_read_by_its_indexes() {
    on_postgres(async |database: Database| {
        let (mut hub, connection, table, integration) = nearly_empty(database).await;
        let url = hub.database_url();
        let names = LARGE.join("|");
        // A table has no rows of its own if it has partitions.
        let parts = format!(
            "SELECT relname::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
             AND relname ~ '^({names})(_before|_default|_[0-9]+)?$'"
        );
        let parts = query_texts(&url, &parts, "name").await;
        assert!(parts.len() > LARGE.len(), "{parts:?}");
        for table in &parts {
            let by_itself = format!("ALTER TABLE {table} SET (autovacuum_enabled = false)");
            hub.sql(&by_itself).await;
        }
        // Plans that a session has made of empty tables last until those are analyzed, which is off here.
        hub.end(Signal::SIGTERM).await;
        grow(&hub, &connection, &table, integration).await;
        hub.sql("SELECT pg_stat_reset()").await;
        hub.start_again().await;
        work(&hub, &connection, &table, integration).await;
        change_many(&hub, &table).await;
        eventually("the figures are in", async || {
            let query = "SELECT (idx_scan >= 50)::text FROM pg_stat_user_tables \
                         WHERE relname = 'device_connections'";
            (query_text(&url, query).await == "true").then_some(())
        })
        .await;
        let names = parts.iter().map(|table| format!("'{table}'"));
        let names = names.collect::<Vec<_>>().join(", ");
        // Random ids are in two partitions.
        let query = format!(
            "SELECT relname || ': ' || seq_tup_read AS read FROM pg_stat_user_tables \
             WHERE relname IN ({names}) AND seq_tup_read >= {MANY} / 4"
        );
        let read = query_texts(&url, &query, "read").await;
        assert!(read.is_empty(), "rows read from beginning to end: {read:?}");
    })
    .await;
}
