//! Rollups of all devices together: they are what the hours of devices add up to, whatever happens to the rows.

use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

use super::rollups::{Dice, Pair, Time, is_rolled_up, key};
use crate::{
    eventually_within,
    support::{
        database::{Database, on_both_databases, query_text},
        rows::count,
        server::Hub,
    },
};

on_both_databases!(
    sums_of_all_devices_follow_the_rows,
    questions_to_all_devices_read_the_sums_of_all_unless_a_mark_says_that_they_are_out_of_date,
);

/// Columns that are equal in the sums of all devices and in what those of each add up to.
const EQUAL: [&str; 2] = [
    "column_id, hour_s, CAST(numbers AS bigint), CAST(huge AS bigint), low, high, first_us, last_us",
    "column_id, hour_s, CAST(sum(numbers) AS bigint), CAST(sum(huge) AS bigint), min(low), max(high), min(first_us), \
     max(last_us)",
];

/// Checks that each hour of devices is in the sum of all, and that there are no other sums.
async fn assert_totals(hub: &Hub, what: &str) {
    let totals = format!("SELECT {} FROM rollup_totals", EQUAL[0]);
    let hours = format!(
        "SELECT {} FROM rollup_hours GROUP BY column_id, hour_s",
        EQUAL[1]
    );
    for (one, other) in [(&totals, &hours), (&hours, &totals)] {
        let query =
            format!("SELECT CAST(count(*) AS TEXT) FROM ({one} EXCEPT {other}) AS differing");
        let differing = query_text(&hub.database_url(), &query).await;
        assert_eq!(differing, "0", "{what}: in {one}");
    }
    assert!(count(hub, "rollup_totals").await > 100, "{what}");
}

/// Asks both hubs about all devices together.
async fn compare_all(pair: &Pair, what: &str, now: Time) {
    let time = |minutes: i64| {
        (now - TimeDelta::minutes(minutes)).to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    let (from, to) = (time(9 * 1440 + 17), time(2 * 1440 + 11));
    let all = "avg,min,max,sum,count,first,last,stddev";
    for query in [
        format!("interval=1h&functions={all}"),
        format!("interval=6h&functions={all}&timezone=Europe/Berlin&from={from}&to={to}"),
        format!("interval=1d&functions=avg&fill=null&to={to}"),
        format!("max_points=60&functions=last,first&columns=probes.0.t&from={from}"),
    ] {
        pair.compare_one(what, &query).await;
    }
}

/// Changes random rows on both hubs: late ones, deleted ones and changed ones.
async fn change(pair: &Pair, dice: &mut Dice, now: Time, number: &mut usize) {
    let added: Vec<String> = (0..40)
        .map(|_| {
            *number += 1;
            dice.row(now, *number)
        })
        .collect();
    pair.add(&added).await;
    for device in ["a", "gone"] {
        let hours = dice.below(11 * 24) as i64;
        let time =
            |hours| (now - TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let (from, to) = (time(hours + 3), time(hours));
        let path = format!(
            "data-tables/{}/rows?device_id={device}&from={from}&to={to}",
            pair.table
        );
        for hub in &pair.hubs {
            hub.delete(&path).await.ok();
        }
    }
    let first = dice.below(*number as u64) as usize;
    let value = dice.below(500);
    for (range, change) in [
        (first..first + 10, format!("data = '{{\"t\": {value}}}'")),
        (first + 10..first + 20, "device_id = 'c'".to_owned()),
    ] {
        pair.sql(&format!(
            "UPDATE data_table_rows SET {change} WHERE data_table_id = TABLE AND id >= {} AND id < {}",
            key(range.start),
            key(range.end)
        ))
        .await;
    }
}

async fn filled(database: Database, dice: &mut Dice, now: Time) -> (Pair, usize) {
    let pair = Pair::start(database).await;
    let rows = 800;
    let added: Vec<String> = (1..=rows).map(|number| dice.row(now, number)).collect();
    pair.add(&added).await;
    is_rolled_up(&pair.hubs[0]).await;
    (pair, rows)
}

async fn sums_of_all_devices_follow_the_rows(database: Database) {
    let now = thingshub::clock::now();
    let mut dice = Dice(40);
    let (pair, mut number) = filled(database, &mut dice, now).await;
    let hub = &pair.hubs[0];
    assert_totals(hub, "at first").await;
    compare_all(&pair, "at first", now).await;
    // The job works meanwhile.
    for round in 1..=3 {
        change(&pair, &mut dice, now, &mut number).await;
        compare_all(&pair, &format!("round {round}"), now).await;
    }
    is_rolled_up(hub).await;
    assert_totals(hub, "at last").await;
    compare_all(&pair, "at last", now).await;

    // Hours that lose all of their rows lose their sums.
    let before = count(hub, "rollup_totals").await;
    let time = |days| (now - TimeDelta::days(days)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let (from, to) = (time(6), time(0));
    for hub in &pair.hubs {
        let path = format!("data-tables/{}/rows?from={from}&to={to}", pair.table);
        hub.delete(&path).await.ok();
    }
    is_rolled_up(hub).await;
    assert_totals(hub, "deleted").await;
    assert!(count(hub, "rollup_totals").await < before);
    compare_all(&pair, "deleted", now).await;
}

/// The number of rows that a question to all devices finds, and the sum of those that questions to each find.
async fn rows_found(hub: &Hub, table: &Value) -> [u64; 2] {
    let ask = async |group_by: &str| {
        let path = format!(
            "data-tables/{table}/rows/aggregate?interval=1d&functions=count&columns=t&group_by={group_by}"
        );
        hub.get(&path).await.ok()["rows"].as_u64().unwrap()
    };
    [ask("none").await, ask("device").await]
}

async fn questions_to_all_devices_read_the_sums_of_all_unless_a_mark_says_that_they_are_out_of_date(
    database: Database,
) {
    let now = thingshub::clock::now();
    let mut dice = Dice(41);
    let (pair, mut number) = filled(database, &mut dice, now).await;
    let hub = &pair.hubs[0];
    let [all, by_device] = rows_found(hub, &pair.table).await;
    assert_eq!(all, by_device);

    // A wrong sum is in the answer about all devices only.
    let wrong = "UPDATE rollup_totals SET numbers = numbers + 1000, total = total + 1e6";
    hub.sql(wrong).await;
    let found = rows_found(hub, &pair.table).await;
    assert!(found[0] >= all + 1000 && found[1] == all, "{found:?}");

    // Sums that are out of date are not read, and are made again.
    hub.refuse("INSERT ON rollup_totals", "true").await;
    hub.sql(&format!(
        "INSERT INTO rollup_marks (tenant_id, data_table_id, device_id, hour_s) \
         SELECT DISTINCT 1, {}, '', hour_s FROM rollup_totals UNION ALL \
         SELECT 1, {}, '', min(hour_s) FROM rollup_totals",
        pair.table, pair.table
    ))
    .await;
    assert_eq!(rows_found(hub, &pair.table).await, [all, all]);
    compare_all(&pair, "out of date", now).await;
    hub.refuse_no_longer("rollup_totals").await;
    is_rolled_up(hub).await;
    assert_totals(hub, "made again").await;
    compare_all(&pair, "made again", now).await;

    // Hours of devices that are rolled up again make their sum out of date.
    hub.refuse("INSERT ON rollup_totals", "true").await;
    change(&pair, &mut dice, now, &mut number).await;
    eventually_within(Duration::from_secs(60), "rolled up again", async || {
        let devices = count(hub, "rollup_marks WHERE device_id <> ''").await;
        let all = count(hub, "rollup_marks WHERE device_id = ''").await;
        (devices == 0 && all > 0).then_some(())
    })
    .await;
    hub.sql(&format!(
        "{wrong} WHERE hour_s IN (SELECT hour_s FROM rollup_marks)"
    ))
    .await;
    compare_all(&pair, "held up", now).await;
    hub.refuse_no_longer("rollup_totals").await;
    is_rolled_up(hub).await;
    assert_totals(hub, "let go").await;
    compare_all(&pair, "let go", now).await;
    assert_eq!(
        json!(rows_found(hub, &pair.table).await[0]),
        json!(rows_found(&pair.hubs[1], &pair.table).await[0])
    );
}
