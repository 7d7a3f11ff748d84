//! Rollups: answers are the same with and without them, whatever happens to the rows, and they go with their table.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually, eventually_within,
    support::{
        database::{Database, Held, on_both_databases, on_postgres, query_text},
        metrics::metric,
        rows::count,
        server::{Connection, Hub, PASSWORD},
    },
};

on_both_databases!(
    answers_are_the_same_with_and_without_rollups,
    rollups_go_with_their_table_and_with_the_setting,
    hours_that_were_rolled_up_by_a_wrong_clock_are_rolled_up_again,
    a_copy_has_no_rollups_until_a_hub_makes_them,
);

pub type Time = DateTime<Utc>;

const OFF: [&str; 2] = ["--rollups", "false"];

/// Numbers that look random and are the same in each run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A quarter, whose sums are exact in any order, or what a driver may put in its place.
    fn value(&mut self) -> Value {
        match self.below(16) {
            0 => json!("21.5"),
            1 => Value::Null,
            2 => json!(true),
            3 if self.below(8) == 0 => json!(1e200),
            _ => json!(self.below(4000) as f64 / 4.0 - 300.0),
        }
    }

    /// A row of the days before `now`; many have the same time.
    pub fn row(&mut self, now: Time, number: usize) -> String {
        let device = ["a", "b", "c", "gone"][self.below(4) as usize];
        let minutes = self.below(12 * 1440 / 10) as i64 * 10;
        let time = now - TimeDelta::minutes(minutes) - TimeDelta::microseconds(1);
        let time = time.to_rfc3339_opts(SecondsFormat::AutoSi, false);
        let data = match self.below(4) {
            0 => json!({"t": self.value(), "probes": [{"t": self.value()}]}),
            1 => json!({"probes": {"0": {"t": self.value()}}, "name": "x"}),
            _ => json!({"t": self.value()}),
        };
        format!(
            "(1, {}, TABLE, '{device}', '{time}', '{data}')",
            key(number)
        )
    }
}

/// A placeholder of the key of a row, which sorts by its number.
pub fn key(number: usize) -> String {
    format!("KEY'{number:032x}'")
}

/// A hub with a table, and the same without rollups.
pub struct Pair {
    pub hubs: [Hub; 2],
    connections: Vec<Connection>,
    pub table: Value,
}

fn definition(extra: &str) -> Value {
    json!({"name": "t", "selector": "", "columns": [
        {"path": "t", "type": "number"},
        {"path": "probes.0.t", "type": "number"},
        {"path": extra, "type": "text"},
    ]})
}

impl Pair {
    pub async fn start(database: Database) -> Self {
        let hubs = [
            Hub::start(database).await,
            Hub::start_with(Database::Sqlite, &OFF).await,
        ];
        let mut connections = Vec::new();
        let mut tables = Vec::new();
        for hub in &hubs {
            let connection = hub.connect("tts").await;
            for (device, labels) in [
                ("a", json!(["site=x"])),
                ("b", json!(["site=y"])),
                ("c", json!([])),
            ] {
                let eui = format!("AA0000000000000{device}");
                hub.device(device, &connection, &eui, json!({"labels": labels}))
                    .await;
            }
            connections.push(connection);
            let table = hub.post("data-tables", &definition("name")).await;
            tables.push(table.created()["id"].clone());
        }
        assert_eq!(tables[0], tables[1]);
        Self {
            hubs,
            connections,
            table: tables.remove(0),
        }
    }

    /// Runs a statement on both.
    pub async fn sql(&self, statement: &str) {
        let statement = statement.replace("TABLE", &self.table.to_string());
        for hub in &self.hubs {
            let key = match &hub.database {
                Database::Sqlite => "x",
                Database::Postgres(_) => "",
            };
            hub.sql(&statement.replace("KEY", key)).await;
        }
    }

    pub async fn add(&self, rows: &[String]) {
        for rows in rows.chunks(400) {
            let rows = rows.join(", ");
            self.sql(&format!(
                "INSERT INTO data_table_rows (tenant_id, id, data_table_id, device_id, ts, data) VALUES {rows}"
            ))
            .await;
        }
    }

    /// Asks both the same questions.
    async fn compare(&self, what: &str, now: Time) {
        let from =
            (now - TimeDelta::minutes(9 * 1440 + 17)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let to =
            (now - TimeDelta::minutes(2 * 1440 + 11)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut asked = 0;
        for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata"] {
            for interval in [
                "interval=30m",
                "interval=1h",
                "interval=6h",
                "interval=1d",
                "max_points=60",
            ] {
                for group_by in ["none", "device", "label:site"] {
                    for functions in ["avg,min,max,sum,count,first,last,stddev", "sum", "last,p50"]
                    {
                        // All combinations would take long; each pair is among these.
                        asked += 1;
                        if asked % 11 > 1 {
                            continue;
                        }
                        let filter = match asked % 5 {
                            0 => format!("&from={from}&to={to}"),
                            1 => format!("&from={from}&selector=site"),
                            2 => format!("&to={to}&fill=null&device_id=a,gone"),
                            3 => "&device_id=b".to_owned(),
                            _ => String::new(),
                        };
                        let query = format!(
                            "{interval}&timezone={zone}&group_by={group_by}&functions={functions}{filter}"
                        );
                        self.compare_one(what, &query).await;
                    }
                }
            }
        }
    }

    pub async fn compare_one(&self, what: &str, query: &str) {
        let path = format!("data-tables/{}/rows/aggregate?{query}", self.table);
        let [one, other] = &self.hubs;
        let (mut one, mut other) = (one.get(&path).await.ok(), other.get(&path).await.ok());
        // Of sums that are exact, only the roots of squares depend on the order.
        let mut spreads = Vec::new();
        for answer in [&mut one, &mut other] {
            let buckets = answer["buckets"].as_array_mut().unwrap();
            let spread = buckets.iter_mut().filter_map(|bucket| {
                let bucket = bucket.as_object_mut().unwrap();
                Some(bucket.get_mut("stddev")?.take())
            });
            spreads.push(spread.collect::<Vec<Value>>());
        }
        assert_eq!(one, other, "{what}: {query}");
        for (one, other) in spreads[0].iter().zip(&spreads[1]) {
            match (one.as_f64(), other.as_f64()) {
                (Some(one), Some(other)) => {
                    let is_near = (one - other).abs() <= 1e-9 * (1.0 + other.abs());
                    assert!(is_near, "{what}: {query}: {one} {other}");
                }
                (one, other) => assert_eq!(one, other, "{what}: {query}"),
            }
        }
    }
}

/// Waits until all that is stored now is rolled up: a search that began later has ended.
pub async fn is_rolled_up(hub: &Hub) {
    let token = hub.log_in("admin", PASSWORD).await;
    let passes = async || metric(hub, &token, "thingshub_rollup_passes_total").await;
    let limit = Duration::from_secs(60);
    // On PostgreSQL, a transaction of another test can keep rollups from beginning. That there are some is asked first:
    // they could appear between the two questions, without an end.
    eventually_within(limit, "rollups have begun", async || {
        let is_begun = count(hub, "data_table_rollups").await > 0
            && count(hub, "data_table_rollups WHERE until_s IS NULL").await == 0;
        is_begun.then_some(())
    })
    .await;
    let before = passes().await;
    eventually_within(limit, "hours are rolled up", async || {
        let is_unmarked = count(hub, "rollup_marks").await == 0;
        (is_unmarked && passes().await >= before + 2.0).then_some(())
    })
    .await;
}

async fn rolled_answers(hub: &Hub) -> f64 {
    let token = hub.log_in("admin", PASSWORD).await;
    metric(
        hub,
        &token,
        "thingshub_aggregations_total{source=\"rollups\"}",
    )
    .await
}

async fn answers_are_the_same_with_and_without_rollups(database: Database) {
    let mut pair = Pair::start(database).await;
    let now = thingshub::clock::now();
    let mut dice = Dice(20_261_129);
    let mut number = 0;
    let mut rows = |many: usize| -> Vec<String> {
        let mut next = || {
            number += 1;
            dice.row(now, number)
        };
        (0..many).map(|_| next()).collect()
    };
    pair.add(&rows(1500)).await;
    is_rolled_up(&pair.hubs[0]).await;
    assert!(count(&pair.hubs[0], "rollup_hours").await > 1000);
    pair.compare("at first", now).await;
    assert!(rolled_answers(&pair.hubs[0]).await > 4.0);

    // Late rows, deleted rows and changed rows count at once, and stay so when they are rolled up again.
    pair.add(&rows(300)).await;
    let span = |from: i64, to: i64| {
        let time =
            |hours| (now - TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
        format!("from={}&to={}", time(from), time(to))
    };
    for query in [span(90, 88), format!("device_id=c&{}", span(200, 150))] {
        for hub in &pair.hubs {
            let path = format!("data-tables/{}/rows?{query}", pair.table);
            assert!(hub.delete(&path).await.ok()["deleted"].as_u64().unwrap() > 0);
        }
    }
    for (key, change) in [
        (
            "id = KEY'00000000000000000000000000000007'",
            "data = '{\"t\": 5}'",
        ),
        (
            "device_id = 'b' AND id < KEY'00000000000000000000000000000100'",
            "device_id = 'gone'",
        ),
    ] {
        let which = format!("WHERE data_table_id = TABLE AND {key}");
        pair.sql(&format!("UPDATE data_table_rows SET {change} {which}"))
            .await;
    }
    pair.compare("changed", now).await;
    is_rolled_up(&pair.hubs[0]).await;
    pair.compare("rolled up again", now).await;

    // Uplinks of now and of last week.
    for (hub, connection) in pair.hubs.iter().zip(&pair.connections) {
        for (frame, hours) in [(1, 0), (2, 170)] {
            let received_at =
                (now - TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
            let message = json!({
                "end_device_ids": {"dev_eui": "AA0000000000000a"},
                "received_at": received_at,
                "uplink_message": {"f_cnt": frame, "f_port": 1, "frm_payload": "AQ==",
                    "decoded_payload": {"t": 17.25}, "received_at": received_at},
            });
            hub.ingest(connection, message.to_string()).await.ok();
        }
    }
    pair.compare("received", now).await;

    // Other columns, and the death of the hub meanwhile.
    for hub in &pair.hubs {
        let path = format!("data-tables/{}", pair.table);
        hub.put(&path, &definition("other")).await.ok();
    }
    pair.hubs[0].end(Signal::SIGKILL).await;
    pair.add(&rows(100)).await;
    pair.hubs[0].start_again().await;
    pair.compare("started again", now).await;
    is_rolled_up(&pair.hubs[0]).await;
    let before = rolled_answers(&pair.hubs[0]).await;
    pair.compare("at last", now).await;
    assert!(rolled_answers(&pair.hubs[0]).await > before + 4.0);
}

/// A hub with a table whose rows of some days are rolled up.
async fn rolled(database: Database) -> (Hub, Value) {
    let hub = Hub::start(database).await;
    let table = filled(&hub).await;
    is_rolled_up(&hub).await;
    assert!(count(&hub, "rollup_hours").await > 100);
    (hub, table)
}

/// The id of a new table with rows of some days.
async fn filled(hub: &Hub) -> Value {
    let table = hub.post("data-tables", &definition("name")).await.created()["id"].clone();
    let now = thingshub::clock::now();
    let mut dice = Dice(7);
    add(
        hub,
        &table,
        (1..=300).map(|number| dice.row(now, number)).collect(),
    )
    .await;
    table
}

async fn add(hub: &Hub, table: &Value, rows: Vec<String>) {
    let key = match &hub.database {
        Database::Sqlite => "x",
        Database::Postgres(_) => "",
    };
    let rows = rows
        .join(", ")
        .replace("TABLE", &table.to_string())
        .replace("KEY", key);
    hub.sql(&format!(
        "INSERT INTO data_table_rows (tenant_id, id, data_table_id, device_id, ts, data) VALUES {rows}"
    ))
    .await;
}

async fn are_gone(hub: &Hub) {
    for table in [
        "data_table_rollups",
        "rollup_columns",
        "rollup_hours",
        "rollup_totals",
        "rollup_marks",
    ] {
        eventually(table, async || (count(hub, table).await == 0).then_some(())).await;
    }
}

async fn rollups_go_with_their_table_and_with_the_setting(database: Database) {
    let (mut hub, table) = rolled(database).await;
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&OFF).await;
    are_gone(&hub).await;
    // Nothing is rolled up any more, and rows leave no marks.
    let path = format!("data-tables/{table}/rows/aggregate?interval=1d&functions=count");
    hub.get(&path).await.ok();
    assert_eq!(rolled_answers(&hub).await, 0.0);
    hub.sql("DELETE FROM data_table_rows WHERE device_id = 'a'")
        .await;
    assert_eq!(count(&hub, "rollup_marks").await, 0);

    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&[]).await;
    is_rolled_up(&hub).await;
    assert!(count(&hub, "rollup_hours").await > 100);
    hub.get(&path).await.ok();
    assert_eq!(rolled_answers(&hub).await, 1.0);
    hub.delete(&format!("data-tables/{table}")).await.ok();
    are_gone(&hub).await;
    eventually("the rows are gone", async || {
        (count(&hub, "data_table_rows").await == 0).then_some(())
    })
    .await;
}

async fn hours_that_were_rolled_up_by_a_wrong_clock_are_rolled_up_again(database: Database) {
    let (hub, table) = rolled(database).await;
    // As if the clock had been a day ahead.
    hub.sql("UPDATE data_table_rollups SET until_s = until_s + 86400")
        .await;
    let now = thingshub::clock::now().to_rfc3339_opts(SecondsFormat::AutoSi, false);
    let row = format!(
        "(1, {}, TABLE, 'a', '{now}', '{}')",
        key(1000),
        json!({"t": 1})
    );
    add(&hub, &table, vec![row]).await;
    let path = format!("data-tables/{table}/rows/aggregate?interval=1mo");
    assert_eq!(hub.get(&path).await.ok()["rows"], 301);
    let query = "SELECT CAST(max(until_s) AS TEXT) FROM data_table_rollups";
    eventually("the end is put right", async || {
        let until_s: i64 = query_text(&hub.database_url(), query)
            .await
            .parse()
            .unwrap();
        (until_s <= thingshub::clock::now().timestamp()).then_some(())
    })
    .await;
    assert_eq!(hub.get(&path).await.ok()["rows"], 301);
}

async fn a_copy_has_no_rollups_until_a_hub_makes_them(database: Database) {
    let (mut hub, table) = rolled(database).await;
    let path = format!("data-tables/{table}/rows/aggregate?interval=1d&functions=sum,first,last");
    let answer = hub.get(&path).await.ok();
    hub.end(Signal::SIGTERM).await;
    let folder = tempfile::tempdir().unwrap();
    let copy = format!("sqlite://{}", folder.path().join("thingshub.db").display());
    let copied = crate::support::server::program()
        .args(["copy", "--from", &hub.database_url(), "--to", &copy])
        .output()
        .await
        .unwrap();
    assert!(copied.status.success(), "{copied:?}");
    for table in ["data_table_rollups", "rollup_hours", "rollup_totals"] {
        let query = format!("SELECT CAST(count(*) AS TEXT) FROM {table}");
        assert_eq!(query_text(&copy, &query).await, "0");
    }
    let copy = Hub::start_on(folder.path(), Database::Sqlite, &[]).await;
    is_rolled_up(&copy).await;
    assert!(count(&copy, "rollup_hours").await > 100);
    let rolled = rolled_answers(&copy).await;
    assert_eq!(copy.get(&path).await.ok()["buckets"], answer["buckets"]);
    assert_eq!(rolled_answers(&copy).await, rolled + 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_rollups_cannot_begin_yet_counts_as_behind() {
    on_postgres(async |database| {
        let hub = Hub::start(database).await;
        let url = hub.database_url();
        let open = Held::start(&url, "BEGIN; SELECT pg_current_xact_id()").await;
        filled(&hub).await;
        let token = hub.log_in("admin", PASSWORD).await;
        let lag = async || metric(&hub, &token, "thingshub_rollup_lag_seconds").await;
        let is_late = async || (lag().await > 86_400.0).then_some(());
        eventually("the table is behind", is_late).await;
        assert_eq!(count(&hub, "rollup_hours").await, 0);
        open.commit().await;
        is_rolled_up(&hub).await;
        assert!(count(&hub, "rollup_hours").await > 100);
        assert!(lag().await < 7200.0);
    })
    .await;
}
