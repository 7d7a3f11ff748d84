//! Scheduled exports of data tables, and the rows that they send.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    eventually,
    support::{
        database::Database,
        rows::{fill, ids, time},
        server::Hub,
    },
};

/// A hub with a folder for exports.
pub async fn hub_with_folder(database: Database, more: &[&str]) -> (Hub, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut flags = vec!["--export-folder", folder.path().to_str().unwrap()];
    flags.extend(more);
    (Hub::start_with(database, &flags).await, folder)
}

/// Makes a data table of the devices with the label `kept`; returns its path.
pub async fn table(hub: &Hub, name: &str, columns: Value) -> String {
    let body = json!({"name": name, "selector": "kept", "columns": columns});
    let table = hub.post("data-tables", &body).await.created();
    format!("data-tables/{}", table["id"])
}

/// Adds rows that were recorded some days ago, with the numbers from 1 on.
pub async fn add_rows(hub: &Hub, table: &str, days: i64, many: u32) {
    let table = table.strip_prefix("data-tables/").unwrap();
    let data = match &hub.database {
        Database::Sqlite => "json_object('n', n.i)",
        Database::Postgres(_) => "jsonb_build_object('n', n.i)",
    };
    let (ids, at) = (ids(hub, days), time(days));
    let columns = "tenant_id, id, data_table_id, device_id, ts, data";
    let values = format!("1, {ids}, {table}, 'd', {at}, {data}");
    fill(hub, many, "data_table_rows", columns, &values).await;
}

/// Adds a row with the number 1 that was recorded at this time, in milliseconds since 1970.
pub async fn add_row(hub: &Hub, table: &str, recorded_at: i64) {
    let table = table.strip_prefix("data-tables/").unwrap();
    let hex = format!("{recorded_at:012x}700080000000000000ef");
    let id = match &hub.database {
        Database::Sqlite => format!("x'{hex}'"),
        Database::Postgres(_) => format!("'{hex}'"),
    };
    let at = time(4);
    hub.sql(&format!(
        "INSERT INTO data_table_rows (tenant_id, id, data_table_id, device_id, ts, data) \
         VALUES (1, {id}, {table}, 'd', {at}, '{{\"n\": 1}}')"
    ))
    .await;
}

/// Body of a scheduled export of CSV at midnight; `more` replaces members.
pub fn body(name: &str, target: &Value, more: Value) -> Value {
    let mut body = json!({
        "name": name, "format": "csv", "schedule": "0 0 * * *", "timezone": "UTC", "target": target,
    });
    for (member, value) in more.as_object().unwrap() {
        body[member] = value.clone();
    }
    body
}

/// Makes a scheduled export of a data table; returns its path.
pub async fn export(hub: &Hub, table: &str, target: &Value, more: Value) -> String {
    let body = body("e", target, more);
    let made = hub
        .post(&format!("{table}/scheduled-exports"), &body)
        .await
        .created();
    format!("{table}/scheduled-exports/{}", made["id"])
}

/// Begins a run, and returns it when it has come to this state.
pub async fn run(hub: &Hub, export: &str, state: &str) -> Value {
    let begun = hub.post(&format!("{export}/runs"), &json!({})).await;
    let number = begun.created()["number"].as_u64().unwrap();
    reached(hub, export, number, state).await
}

/// Waits until a run has come to this state.
pub async fn reached(hub: &Hub, export: &str, number: u64, state: &str) -> Value {
    eventually("the run reaches its state", async || {
        let runs = latest(hub, export).await;
        let of_number = |run: &Value| run["number"] == number;
        runs.into_iter()
            .find(|run| of_number(run) && run["state"] == state)
    })
    .await
}

/// The last runs, newest first.
pub async fn latest(hub: &Hub, export: &str) -> Vec<Value> {
    let runs = hub.get(&format!("{export}/runs?limit=20")).await.ok();
    runs["collection"].as_array().unwrap().clone()
}

/// Makes the schedule of all exports due.
pub async fn make_due(hub: &Hub) {
    hub.sql(&format!(
        "UPDATE scheduled_exports SET next_run_at = {} WHERE next_run_at IS NOT NULL",
        time(2)
    ))
    .await;
}

/// Makes the first runs of all exports due, as if their hub had ended before it knew of a file of theirs.
pub async fn send_again(hub: &Hub) {
    let begun = "state = 'running', finished_at = NULL, due_at = created_at, byte_count = NULL";
    hub.sql(&format!("UPDATE export_runs SET {begun} WHERE number = 1"))
        .await;
}

/// Numbers in the column `n` of a CSV file, in its order.
pub fn numbers(csv: &[u8]) -> Vec<u32> {
    let text = std::str::from_utf8(csv).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("time,device_id,n"));
    lines
        .map(|line| line.rsplit(',').next().unwrap().parse().unwrap())
        .collect()
}
