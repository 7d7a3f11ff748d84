//! Partitions of uplinks and events on PostgreSQL: the conversion of a filled database, and partitions that are made
//! ahead and dropped as a whole.

use std::time::Instant;

use migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectOptions, ConnectionTrait, Database as Driver, DatabaseConnection};
use serde_json::json;

use super::retention::look_again;
use crate::support::{
    database::{
        Database, Held, execute, on_empty_postgres, on_postgres, query_text, query_texts,
        surroundings, until_waiting,
    },
    metrics::metric,
    rows::{ago, count, id, time},
    server::{Hub, PASSWORD},
};

/// Partitions as short as those of 90 days.
const ENDS: [i64; 6] = [130, 118, 106, 94, 82, 0];
const EUI: &str = "AA00000000000001";
const NAME: &str = "m0035_partitions";
const DROPPED: &str = "thingshub_housekeeping_dropped_partitions_total";

/// Connects with a single connection.
async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1);
    Driver::connect(options).await.unwrap()
}

/// Number of uplinks and of events that are converted; `make bench-upgrade` has more.
fn rows() -> u32 {
    surroundings("THINGSHUB_TEST_PARTITION_ROWS").map_or(20_000, |rows| rows.parse().unwrap())
}

/// Makes a database of the schema before there were partitions, with uplinks of the last 100 days, one whose clock was a
/// year ahead, and events.
async fn fill(connection: &DatabaseConnection, rows: u32) {
    let names: Vec<String> = Migrator::migrations()
        .iter()
        .map(|one| one.name().to_owned())
        .collect();
    let level = names.iter().position(|name| name == NAME).unwrap();
    Migrator::up(connection, Some(level.try_into().unwrap()))
        .await
        .unwrap();
    let at = format!("now() - n.i * interval '100 days' / {rows}");
    let id = format!(
        "(lpad(to_hex((extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '70008000' \
         || lpad(to_hex(n.i), 12, '0'))::uuid"
    );
    let numbers = format!("FROM generate_series(1, {rows}) AS n(i)");
    let ahead = format!("{:012x}700080000000000000ff", ago(-365).timestamp_millis());
    for statement in [
        "INSERT INTO tenants (id, name, created_at, updated_at, revision, epoch) VALUES (1, 'first', now(), now(), 1, 0)"
            .to_owned(),
        "INSERT INTO devices (tenant_id, id, created_at, updated_at, revision, device_id, name, description, \
         metadata, labels, connections) SELECT 1, i, now(), now(), 1, 'd' || i, 'd' || i, '', '{}', '[]', '[]' \
         FROM generate_series(0, 9) AS n(i)"
            .to_owned(),
        format!(
            "INSERT INTO uplinks (tenant_id, id, device_key, connection_id, received_at, ts, radio) \
             SELECT 1, {id}, n.i % 10, 1, {at}, {at}, '{{}}' {numbers}"
        ),
        format!(
            "INSERT INTO uplinks (tenant_id, id, device_key, connection_id, received_at, ts, radio) \
             VALUES (1, '{ahead}', 1, 1, now(), now(), '{{}}')"
        ),
        format!(
            "INSERT INTO events (tenant_id, id, kind, device_key, at, message, details) \
             SELECT 1, {id}, 'join', n.i % 10, {at}, '', '{{}}' {numbers}"
        ),
    ] {
        connection.execute_unprepared(&statement).await.unwrap();
    }
}

/// Returns the indexes and references of a table.
async fn structure(url: &str, table: &str) -> Vec<String> {
    let query = format!(
        "SELECT replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS text FROM pg_index \
         WHERE indrelid = '{table}'::regclass UNION ALL \
         SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
         WHERE conrelid = '{table}'::regclass ORDER BY 1"
    );
    query_texts(url, &query, "text").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filled_database_gets_partitions_while_it_is_used() {
    on_empty_postgres(async |database: Database| {
        let Database::Postgres(url) = database else {
            unreachable!("the test is for PostgreSQL");
        };
        let connection = connect(&url).await;
        let rows = rows();
        fill(&connection, rows).await;
        // As an interrupted attempt left it long ago.
        let bound = id_of_days(20);
        let bind =
            format!("ALTER TABLE events ADD CONSTRAINT events_bound CHECK (id < '{bound}') NOT VALID");
        execute(&url, &bind).await;
        let (uplinks, events) = (
            structure(&url, "uplinks").await,
            structure(&url, "events").await,
        );
        // A backup that reads.
        let backup = Held::start(&url, "BEGIN; SELECT count(*) FROM uplinks").await;
        let migration = tokio::spawn(async move {
            Migrator::up(&connection, None).await.unwrap();
            connection.close().await.unwrap();
        });
        until_waiting(&url, 1).await;
        // A hub of the last version goes on meanwhile.
        let id = id_of_days(0);
        let insert = format!(
            "INSERT INTO uplinks (tenant_id, id, device_key, connection_id, received_at, ts, radio) \
             VALUES (1, '{id}', 1, 1, now(), now(), '{{}}')"
        );
        execute(&url, &insert).await;
        assert!(!migration.is_finished());
        backup.end().await;
        let begun = Instant::now();
        migration.await.unwrap();
        println!("{rows} uplinks and events: converted in {:?}", begun.elapsed());

        let in_all = query_text(&url, "SELECT count(*)::text FROM uplinks").await;
        assert_eq!(in_all, (rows + 2).to_string());
        assert_eq!(query_text(&url, "SELECT count(*)::text FROM events").await, rows.to_string());
        let ahead = "SELECT count(*)::text FROM uplinks_default";
        assert_eq!(query_text(&url, ahead).await, "1");
        let without_bound = |parts: Vec<String>| -> Vec<String> {
            parts.into_iter().filter(|part| !part.contains("_bound ")).collect()
        };
        assert_eq!(structure(&url, "uplinks").await, without_bound(uplinks));
        assert_eq!(structure(&url, "events").await, without_bound(events));

        // A hub that ended before it noted the migration does it again.
        let forget = format!("DELETE FROM seaql_migrations WHERE version = '{NAME}'");
        execute(&url, &forget).await;
        let connection = connect(&url).await;
        Migrator::up(&connection, None).await.unwrap();
        connection.close().await.unwrap();
        assert_eq!(query_text(&url, "SELECT count(*)::text FROM uplinks").await, in_all);
        execute(&url, "DELETE FROM devices").await;
        assert_eq!(query_text(&url, "SELECT count(*)::text FROM uplinks").await, "0");
    })
    .await;
}

fn id_of_days(days: i64) -> String {
    format!("{:012x}70008000000000000000", ago(days).timestamp_millis())
}

/// A hub whose uplinks are in partitions with these ends, in days ago.
async fn parted(database: Database, ends: &[i64]) -> Hub {
    let hub = Hub::start(database).await;
    hub.device_without_address("d").await;
    hub.sql("ALTER TABLE uplinks DETACH PARTITION uplinks_before")
        .await;
    hub.sql("DROP TABLE uplinks_before").await;
    for (from, to) in ends.iter().zip(&ends[1..]) {
        let (first, after) = (id_of_days(*from), id_of_days(*to));
        hub.sql(&format!(
            "CREATE TABLE uplinks_{from} PARTITION OF uplinks FOR VALUES FROM ('{first}') TO ('{after}')"
        ))
        .await;
    }
    hub
}

async fn add_uplinks(hub: &Hub, device: &str, tenant: i64, days: &[i64]) {
    let query = format!("SELECT CAST(id AS TEXT) FROM devices WHERE device_id = '{device}'");
    let key = query_text(&hub.database_url(), &query).await;
    for (number, days) in (0..).zip(days) {
        let number = u32::try_from(tenant).unwrap() * 100 + number;
        let (id, at) = (id(hub, *days, number), time(*days));
        hub.sql(&format!(
            "INSERT INTO uplinks (tenant_id, id, device_key, connection_id, received_at, ts, radio) \
             VALUES ({tenant}, {id}, {key}, 1, {at}, {at}, '{{}}')"
        ))
        .await;
    }
}

async fn names(hub: &Hub) -> Vec<String> {
    let query = "SELECT relname::text AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid \
                 WHERE inhparent = 'uplinks'::regclass ORDER BY 1";
    query_texts(&hub.database_url(), query, "name").await
}

/// Returns the number of partitions among these.
async fn left(hub: &Hub, of: &[&str]) -> usize {
    let names = names(hub).await;
    of.iter()
        .filter(|name| names.iter().any(|one| one == *name))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_made_ahead_and_dropped_when_all_is_old() {
    on_postgres(async |database: Database| {
        let mut hub = parted(database, &ENDS).await;
        let connection = hub.connect("tts").await;
        hub.device("e", &connection, EUI, json!({})).await;
        add_uplinks(&hub, "d", 1, &[120, 119, 100, 92, 89, 10]).await;
        look_again(&mut hub, &["--uplink-keep-days", "90"]).await;
        // The uplink of 92 days goes with its partition.
        assert_eq!(count(&hub, "uplinks").await, 3);
        let old = ["uplinks_130", "uplinks_118", "uplinks_106"];
        assert_eq!(left(&hub, &old).await, 0);
        assert_eq!(left(&hub, &["uplinks_94", "uplinks_82"]).await, 2);
        assert_eq!(metric(&hub, &hub.token, DROPPED).await, 3.0);
        let deleted = "thingshub_housekeeping_deleted_total{kind=\"uplinks\"}";
        assert_eq!(metric(&hub, &hub.token, deleted).await, 0.0);

        // No partition had the current time: the first one begins after some minutes.
        hub.uplink(&connection, EUI).await;
        assert_eq!(count(&hub, "uplinks_default").await, 1);
        add_uplinks(&hub, "d", 2, &[-5]).await;
        assert_eq!(count(&hub, "uplinks_default").await, 1);
        let before = names(&hub).await;
        look_again(&mut hub, &["--uplink-keep-days", "90"]).await;
        assert_eq!(names(&hub).await, before);

        // Deleting one by one goes on with what is kept for a shorter time.
        let tenant = json!({"name": "first", "retention_days": 30});
        hub.put("tenants/1", &tenant).await.ok();
        look_again(&mut hub, &["--uplink-keep-days", "90"]).await;
        assert_eq!(left(&hub, &["uplinks_94"]).await, 0);
        assert_eq!(count(&hub, "uplinks").await, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_keeps_longer_keeps_the_partition() {
    on_postgres(async |database: Database| {
        let mut hub = parted(database, &ENDS).await;
        let administrator = json!({"username": "long", "password": PASSWORD});
        let body = json!({"name": "long", "administrator": administrator, "retention_days": 125});
        let tenant = hub.post("tenants", &body).await.created()["id"].clone();
        let operator = std::mem::take(&mut hub.token);
        hub.token = hub.log_in("long", PASSWORD).await;
        hub.device_without_address("l").await;
        hub.token = operator;
        let long = tenant.as_i64().unwrap();
        add_uplinks(&hub, "d", 1, &[120, 100, 10]).await;
        add_uplinks(&hub, "l", long, &[120, 100, 10]).await;
        look_again(&mut hub, &["--uplink-keep-days", "90"]).await;
        assert_eq!(left(&hub, &["uplinks_130", "uplinks_118"]).await, 2);
        assert_eq!(count(&hub, "uplinks WHERE tenant_id = 1").await, 1);
        let of_long = format!("uplinks WHERE tenant_id = {long}");
        assert_eq!(count(&hub, &of_long).await, 3);
        assert_eq!(metric(&hub, &hub.token, DROPPED).await, 0.0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_transaction_delays_the_drop_and_nothing_else() {
    on_postgres(async |database: Database| {
        let mut hub = parted(database, &ENDS).await;
        let connection = hub.connect("tts").await;
        hub.device("e", &connection, EUI, json!({})).await;
        add_uplinks(&hub, "d", 1, &[120, 10]).await;
        let url = hub.database_url();
        let backup = Held::start(&url, "BEGIN; SELECT count(*) FROM uplinks").await;
        look_again(&mut hub, &["--uplink-keep-days", "90"]).await;
        hub.uplink(&connection, EUI).await;
        assert_eq!(left(&hub, &["uplinks_130"]).await, 1);
        assert_eq!(metric(&hub, &hub.token, DROPPED).await, 0.0);
        backup.end().await;
        look_again(&mut hub, &["--uplink-keep-days", "90"]).await;
        assert_eq!(left(&hub, &["uplinks_130"]).await, 0);
        assert_eq!(count(&hub, "uplinks").await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_long_partition_are_deleted_one_by_one() {
    on_postgres(async |database: Database| {
        // As it was made while there was no limit.
        let mut hub = parted(database, &[400, 36, 0]).await;
        add_uplinks(&hub, "d", 1, &[120, 91, 89, 20]).await;
        look_again(&mut hub, &["--uplink-keep-days", "90"]).await;
        assert_eq!(count(&hub, "uplinks").await, 2);
        assert_eq!(left(&hub, &["uplinks_400", "uplinks_36"]).await, 2);
    })
    .await;
}
