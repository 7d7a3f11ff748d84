//! Rows that are written and counted behind the hub's back.

use chrono::{DateTime, TimeDelta, Utc};

use crate::support::{
    database::{Database, query_text},
    server::Hub,
};

/// Adds many rows, with a new id in the place of `ID` and the number of the row in that of `n.i`.
pub async fn fill(hub: &Hub, many: u32, table: &str, columns: &str, values: &str) {
    let (id, numbers) = match &hub.database {
        Database::Sqlite => (
            "randomblob(16)",
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many}) \
                 SELECT i FROM n) AS n"
            ),
        ),
        Database::Postgres(_) => (
            "gen_random_uuid()",
            format!("generate_series(1, {many}) AS n(i)"),
        ),
    };
    let values = values.replace("ID", id);
    hub.sql(&format!(
        "INSERT INTO {table} ({columns}) SELECT {values} FROM {numbers}"
    ))
    .await;
}

/// Counts rows: a table, with a condition.
pub async fn count(hub: &Hub, what: &str) -> u64 {
    let query = format!("SELECT CAST(count(*) AS TEXT) FROM {what}");
    query_text(&hub.database_url(), &query)
        .await
        .parse()
        .unwrap()
}

/// The time some days ago.
pub fn ago(days: i64) -> DateTime<Utc> {
    thingshub::clock::now() - TimeDelta::days(days)
}

/// A literal of that time.
pub fn time(days: i64) -> String {
    format!("'{}'", ago(days).format("%Y-%m-%dT%H:%M:%S%.6f+00:00"))
}

/// A literal of an id that was made at that time, with this number.
pub fn id(hub: &Hub, days: i64, number: u32) -> String {
    let hex = format!("{:012x}70008000{number:012x}", ago(days).timestamp_millis());
    match &hub.database {
        Database::Sqlite => format!("x'{hex}'"),
        Database::Postgres(_) => format!("'{hex}'"),
    }
}

/// An expression of ids that were made at that time, one for each row of [`fill`].
pub fn ids(hub: &Hub, days: i64) -> String {
    let start = format!("{:012x}70008000", ago(days).timestamp_millis());
    match &hub.database {
        Database::Sqlite => format!("unhex('{start}' || printf('%012x', n.i))"),
        Database::Postgres(_) => {
            format!("('{start}' || lpad(to_hex(n.i), 12, '0'))::uuid")
        }
    }
}
