//! Retention: old rows go, young ones stay, and the space is given back.

use std::{collections::BTreeSet, time::Duration};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::old_jobs::ended_import;
use crate::{
    eventually_within,
    support::{
        database::{Database, on_both_databases, on_postgres, query_text},
        metrics::metric,
        rows::{count, fill, id, ids, time},
        server::{Connection, Hub, PASSWORD, things_stack},
    },
};

on_both_databases!(
    what_is_old_goes_and_what_is_young_stays,
    each_tenant_has_a_retention_of_its_own,
    each_data_table_has_a_retention_of_its_own,
    uplinks_are_taken_while_old_ones_go,
    nothing_is_deleted_without_limits,
);

const EUI: &str = "AA00000000000001";
pub const UPLINK: &str = "tenant_id, id, device_key, connection_id, received_at, ts, radio";

/// Starts the hub again, and waits until it has looked for what is old.
pub async fn look_again(hub: &mut Hub, flags: &[&str]) {
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(flags).await;
    has_looked(hub).await;
}

/// Waits until the hub has looked for what is old.
pub async fn has_looked(hub: &Hub) {
    let token = hub.log_in("admin", PASSWORD).await;
    let runs = "thingshub_housekeeping_runs_total";
    eventually_within(Duration::from_secs(60), "it has looked", async || {
        (metric(hub, &token, runs).await > 0.0).then_some(())
    })
    .await;
}

pub async fn deleted(hub: &Hub, kind: &str) -> f64 {
    let series = format!("thingshub_housekeeping_deleted_total{{kind=\"{kind}\"}}");
    metric(hub, &hub.token, &series).await
}

pub async fn key(hub: &Hub, device: &str) -> String {
    let query = format!("SELECT CAST(id AS TEXT) FROM devices WHERE device_id = '{device}'");
    query_text(&hub.database_url(), &query).await
}

pub async fn add_uplink(hub: &Hub, tenant: &Value, device: &str, days: i64, number: u32) {
    let (key, id, at) = (key(hub, device).await, id(hub, days, number), time(days));
    let values = format!("{tenant}, {id}, {key}, 1, {at}, {at}, '{{}}'");
    hub.sql(&format!("INSERT INTO uplinks ({UPLINK}) VALUES ({values})"))
        .await;
}

async fn what_is_old_goes_and_what_is_young_stays(database: Database) {
    let flags = [
        "--uplink-keep-days",
        "90",
        "--event-keep-days",
        "30",
        "--audit-keep-days",
        "40",
    ];
    let mut hub = Hub::start_with(database, &flags).await;
    // What is added now is counted by the next start.
    has_looked(&hub).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let tenant = json!(1);
    for (days, number) in [(91, 1), (100, 2), (89, 3)] {
        add_uplink(&hub, &tenant, "d", days, number).await;
    }
    // Recorded lately, although the network received it long ago.
    let (device, fresh, then) = (key(&hub, "d").await, id(&hub, 1, 4), time(400));
    let values = format!("1, {fresh}, {device}, 1, {then}, {then}, '{{}}'");
    hub.sql(&format!("INSERT INTO uplinks ({UPLINK}) VALUES ({values})"))
        .await;
    hub.uplink(&connection, EUI).await;
    for (days, number) in [(31, 1), (29, 2)] {
        let (id, at) = (id(&hub, days, number), time(days));
        hub.sql(&format!(
            "INSERT INTO events (tenant_id, id, kind, device_key, connection_id, at, message, details) \
             VALUES (1, {id}, 'join', {device}, {}, {at}, '', '{{}}')",
            connection.id
        ))
        .await;
    }
    for (days, number) in [(41, 1), (39, 2)] {
        let (id, at) = (id(&hub, days, number), time(days));
        hub.sql(&format!(
            "INSERT INTO audit_log (tenant_id, id, at, actor, request_id, action, resource, resource_id) \
             VALUES (1, {id}, {at}, 'admin', '', 'test', 'tests', '')"
        ))
        .await;
    }
    // Expired two days ago, and just now.
    for (name, expired) in [("old", time(2)), ("young", time(0))] {
        let user = hub.user(name, "viewer").await["id"].clone();
        hub.log_in(name, PASSWORD).await;
        hub.sql(&format!(
            "UPDATE sessions SET expires_at = {expired} WHERE user_id = {user}"
        ))
        .await;
    }
    look_again(&mut hub, &flags).await;

    assert_eq!(count(&hub, "uplinks").await, 3);
    for number in [3, 4] {
        let id = id_of(&hub, number);
        let what = format!("uplinks WHERE {id}");
        assert_eq!(count(&hub, &what).await, 1, "{number}");
    }
    assert_eq!(count(&hub, "events WHERE kind = 'join'").await, 1);
    assert_eq!(count(&hub, "audit_log WHERE action = 'test'").await, 1);
    let left = "sessions, users WHERE users.id = sessions.user_id AND username IN ('old', 'young')";
    assert_eq!(count(&hub, left).await, 1);
    for (kind, rows) in [
        ("uplinks", 2),
        ("events", 1),
        ("audit_entries", 1),
        ("sessions", 1),
        ("rows", 0),
    ] {
        assert_eq!(deleted(&hub, kind).await, f64::from(rows), "{kind}");
    }
}

/// A condition for rows with the number of an id.
fn id_of(hub: &Hub, number: u32) -> String {
    match &hub.database {
        Database::Sqlite => format!("lower(hex(id)) LIKE '%70008000{number:012x}'"),
        Database::Postgres(_) => format!("id::text LIKE '%7000-8000-{number:012x}'"),
    }
}

async fn each_tenant_has_a_retention_of_its_own(database: Database) {
    let mut hub = Hub::start(database).await;
    hub.device_without_address("main").await;
    let mut tenants = vec![json!(1)];
    for (name, days) in [("brief", json!(5)), ("long", json!(200))] {
        let administrator = json!({"username": name, "password": PASSWORD});
        let body = json!({"name": name, "administrator": administrator, "retention_days": days});
        let tenant = hub.post("tenants", &body).await.created();
        assert_eq!(tenant["retention_days"], days);
        tenants.push(tenant["id"].clone());
        let operator = std::mem::take(&mut hub.token);
        hub.token = hub.log_in(name, PASSWORD).await;
        hub.device_without_address(name).await;
        hub.token = operator;
    }
    let names = ["main", "brief", "long"];
    let mut number = 0;
    for (tenant, name) in tenants.iter().zip(names) {
        for days in [4, 10, 100, 300] {
            number += 1;
            add_uplink(&hub, tenant, name, days, number).await;
        }
    }
    let left = async |hub: &Hub| {
        let mut left = Vec::new();
        for tenant in &tenants {
            left.push(count(hub, &format!("uplinks WHERE tenant_id = {tenant}")).await);
        }
        left
    };
    look_again(&mut hub, &["--uplink-keep-days", "0"]).await;
    assert_eq!(left(&hub).await, [4, 1, 3]);
    look_again(&mut hub, &["--uplink-keep-days", "90"]).await;
    assert_eq!(left(&hub).await, [2, 1, 3]);
    // Back to the setting of the hub.
    let path = format!("tenants/{}", tenants[2]);
    let changed = hub.put(&path, &json!({"name": "long"})).await.ok();
    assert_eq!(changed["retention_days"], Value::Null);
    look_again(&mut hub, &["--uplink-keep-days", "90"]).await;
    assert_eq!(left(&hub).await, [2, 1, 2]);
}

async fn each_data_table_has_a_retention_of_its_own(database: Database) {
    let mut hub = Hub::start(database).await;
    // What is added now is counted by the next start.
    has_looked(&hub).await;
    let mut tables = Vec::new();
    for (name, days) in [("a", json!(10)), ("b", json!(100)), ("c", Value::Null)] {
        let table = json!({"name": name, "selector": "", "retention_days": days});
        let table = hub.post("data-tables", &table).await.created()["id"].clone();
        for days in [9, 11, 99, 101] {
            let columns = "tenant_id, id, data_table_id, device_id, ts, data";
            let values = format!("1, ID, {table}, 'd', {}, '{{}}'", time(days));
            fill(&hub, 3, "data_table_rows", columns, &values).await;
        }
        tables.push(table);
    }
    look_again(&mut hub, &[]).await;
    for (table, rows) in tables.iter().zip([3, 9, 12]) {
        let path = format!("data-tables/{table}/rows?limit=100&total=true");
        assert_eq!(hub.get(&path).await.ok()["total"], rows, "{table}");
    }
    assert_eq!(deleted(&hub, "rows").await, 9.0 + 3.0);
}

async fn nothing_is_deleted_without_limits(database: Database) {
    let mut hub = Hub::start(database).await;
    hub.device_without_address("d").await;
    add_uplink(&hub, &json!(1), "d", 3650, 1).await;
    let (id, at) = (id(&hub, 3650, 1), time(3650));
    hub.sql(&format!(
        "INSERT INTO events (tenant_id, id, kind, at, message, details) \
         VALUES (1, {id}, 'join', {at}, '', '{{}}')"
    ))
    .await;
    hub.sql(&format!(
        "INSERT INTO audit_log (tenant_id, id, at, actor, request_id, action, resource, resource_id) \
         VALUES (1, {id}, {at}, 'admin', '', 'test', 'tests', '')"
    ))
    .await;
    let import = ended_import(&hub, "i1").await;
    hub.sql(&format!("UPDATE device_imports SET finished_at = {at}"))
        .await;
    let kept = ["uplink", "event", "audit", "job"]
        .map(|what| [format!("--{what}-keep-days"), "0".to_owned()]);
    let flags: Vec<&str> = kept.as_flattened().iter().map(String::as_str).collect();
    look_again(&mut hub, &flags).await;
    assert_eq!(count(&hub, "uplinks").await, 1);
    assert_eq!(count(&hub, "events WHERE kind = 'join'").await, 1);
    assert_eq!(count(&hub, "audit_log WHERE action = 'test'").await, 1);
    hub.get(&format!("devices/import/{import}")).await.ok();
}

async fn fill_old_uplinks(hub: &Hub, many: u32) -> Connection {
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let (ids, key, at) = (ids(hub, 100), key(hub, "d").await, time(100));
    let values = format!("1, {ids}, {key}, {}, {at}, {at}, '{{}}'", connection.id);
    fill(hub, many, "uplinks", UPLINK, &values).await;
    connection
}

async fn uplinks_are_taken_while_old_ones_go(database: Database) {
    let mut hub = Hub::start(database).await;
    let connection = fill_old_uplinks(&hub, 20_000).await;
    hub.end(Signal::SIGTERM).await;
    hub.start_again().await;
    let old = format!("uplinks WHERE received_at < {}", time(90));
    let (mut seen, mut sent) = (BTreeSet::new(), 0);
    eventually_within(Duration::from_secs(60), &old, async || {
        hub.ingest(&connection, things_stack(EUI)).await.ok();
        sent += 1;
        let left = count(&hub, &old).await;
        seen.insert(left);
        (left == 0).then_some(())
    })
    .await;
    assert!(seen.len() > 3, "{seen:?}");
    assert_eq!(count(&hub, "uplinks").await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_hubs_deletes_and_the_other_takes_over() {
    on_postgres(async |database: Database| {
        let mut one = Hub::start(database.clone()).await;
        has_looked(&one).await;
        let two = Hub::start(database).await;
        let connection = fill_old_uplinks(&two, 10).await;
        let holder = "SELECT holder::text FROM leases WHERE name = 'housekeeping'";
        let expires = "SELECT expires_at::text FROM leases WHERE name = 'housekeeping'";
        let url = two.database_url();
        let (before, until) = (
            query_text(&url, holder).await,
            query_text(&url, expires).await,
        );
        eventually_within(
            Duration::from_secs(20),
            "the lease is renewed",
            async || (query_text(&url, expires).await != until).then_some(()),
        )
        .await;
        two.uplink(&connection, EUI).await;
        assert_eq!(query_text(&url, holder).await, before);
        let runs = "thingshub_housekeeping_runs_total";
        let token = two.log_in("admin", PASSWORD).await;
        assert_eq!(metric(&two, &token, runs).await, 0.0);
        one.end(Signal::SIGTERM).await;
        has_looked(&two).await;
        assert_eq!(count(&two, "uplinks").await, 1);
        assert_ne!(query_text(&url, holder).await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_becomes_smaller() {
    let mut hub = Hub::start(Database::Sqlite).await;
    let mode = "SELECT CAST(auto_vacuum AS TEXT) FROM pragma_auto_vacuum";
    let mode = query_text(&hub.database_url(), mode).await;
    assert_eq!(mode, "2", "incremental");
    let table = json!({"name": "t", "selector": "", "retention_days": 10});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    let columns = "tenant_id, id, data_table_id, device_id, ts, data";
    let data = "json_object('text', hex(zeroblob(500)))";
    let values = format!("1, ID, {table}, 'd', {}, {data}", time(11));
    fill(&hub, 10_000, "data_table_rows", columns, &values).await;
    hub.end(Signal::SIGTERM).await;
    let size = |hub: &Hub| std::fs::metadata(hub.file("thingshub.db")).unwrap().len();
    let full = size(&hub);
    assert!(full > 10_000_000, "{full}");
    hub.start_again().await;
    has_looked(&hub).await;
    let freed = metric(&hub, &hub.token, "thingshub_housekeeping_freed_bytes_total").await;
    hub.end(Signal::SIGTERM).await;
    let left = size(&hub);
    assert!(left < full / 3, "{full} {left}");
    assert!(freed >= full as f64 / 2.0, "{freed}");
}
