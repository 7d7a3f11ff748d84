//! Aggregation of stored numbers: the database's sums, folded by the hub, are those of the rows themselves.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveTime, SecondsFormat, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, next_frame},
};

on_both_databases!(
    sums_of_the_database_are_those_of_the_rows,
    numbers_beyond_sums_are_not_summed,
    empty_buckets_are_filled_and_their_number_chooses_their_length,
    fields_of_uplinks_are_aggregated,
);

type Time = DateTime<Utc>;

/// One row behind the hub's back.
struct Stored {
    device: &'static str,
    time: Time,
    data: Value,
}

const FUNCTIONS: &str = "avg,min,max,sum,count,first,last,stddev,p1,p5,p10,p25,p50,p75,p90,p95,p99";

fn time(text: &str) -> Time {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A number, or what a driver may put in its place.
    fn value(&mut self) -> Value {
        match self.below(12) {
            0 => json!("21.5"),
            1 => json!("NaN"),
            2 => Value::Null,
            3 => json!(true),
            4 => json!({"t": 1}),
            5 => json!(self.below(100)),
            6 => json!(-(self.below(1000) as f64) / 7.0),
            7 => json!(1_000_000_007.25 + self.below(3) as f64 / 8.0),
            8 => json!(1e-200),
            _ => json!(20.0 + self.below(1000) as f64 / 100.0),
        }
    }

    /// A moment in the weeks around the changes of the clocks in Europe and America.
    fn time(&mut self) -> Time {
        let start = match self.below(2) {
            0 => time("2026-03-06T00:00:00Z"),
            _ => time("2026-10-23T00:00:00Z"),
        };
        let microseconds = match self.below(4) {
            0 => 0,
            1 => 999_999,
            _ => self.below(1_000_000),
        };
        let seconds = self.below(25 * 86_400) as i64;
        start + chrono::TimeDelta::microseconds(seconds * 1_000_000 + microseconds as i64)
    }

    fn row(&mut self) -> Stored {
        let device = ["a", "b", "c", "gone"][self.below(4) as usize];
        let time = self.time();
        let data = match self.below(5) {
            0 => json!({"temperature": self.value(), "probes": [{"t": self.value()}]}),
            1 => json!({"probes": {"0": {"t": self.value()}}}),
            2 => json!({"probes.0.t": self.value(), "probes": [{"t": 7}]}),
            3 => json!({"probes": "none", "temperature": self.value()}),
            _ => json!({"temperature": self.value()}),
        };
        Stored { device, time, data }
    }
}

async fn add(hub: &Hub, table: &Value, rows: &[Stored]) {
    for (part, rows) in rows.chunks(400).enumerate() {
        let values = rows.iter().enumerate().map(|(index, row)| {
            let id = format!("{:032x}", part * 400 + index + 1);
            let id = match &hub.database {
                Database::Sqlite => format!("x'{id}'"),
                Database::Postgres(_) => format!("'{id}'"),
            };
            let time = row.time.to_rfc3339_opts(SecondsFormat::AutoSi, false);
            let (device, data) = (row.device, &row.data);
            format!("(1, {id}, {table}, '{device}', '{time}', '{data}')")
        });
        let values = values.collect::<Vec<_>>().join(", ");
        hub.sql(&format!(
            "INSERT INTO data_table_rows (tenant_id, id, data_table_id, device_id, ts, data) VALUES {values}"
        ))
        .await;
    }
}

async fn table(hub: &Hub, columns: Value) -> Value {
    let table = json!({"name": "t", "selector": "", "columns": columns});
    hub.post("data-tables", &table).await.created()["id"].clone()
}

/// The number at a path, found as the hub's tables find it.
fn number(data: &Value, path: &str) -> Option<f64> {
    if let Some(own) = data.get(path) {
        return own.as_f64();
    }
    let mut value = data;
    for part in path.split('.') {
        value = match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            other => other.get(part)?,
        };
    }
    value.as_f64()
}

/// The start of the bucket of a moment, from the calendar alone.
fn bucket(moment: Time, interval: &str, zone: Tz) -> Time {
    let local = moment.with_timezone(&zone);
    let (date, hour) = (local.date_naive(), local.hour());
    let clock = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    let label = match interval {
        // The offsets of these zones are multiples of half an hour.
        "30m" => {
            let seconds = moment.timestamp().div_euclid(1800) * 1800;
            return DateTime::from_timestamp(seconds, 0).unwrap();
        }
        "1h" => {
            let minutes = i64::from(local.minute());
            let start = moment - chrono::TimeDelta::minutes(minutes);
            return DateTime::from_timestamp(start.timestamp().div_euclid(60) * 60, 0).unwrap();
        }
        "6h" => date.and_time(clock(hour / 6 * 6)),
        "1d" => date.and_time(NaiveTime::MIN),
        "1w" => {
            let days = Days::new(local.weekday().num_days_from_monday().into());
            (date - days).and_time(NaiveTime::MIN)
        }
        "1mo" => date.with_day(1).unwrap().and_time(NaiveTime::MIN),
        other => panic!("{other}"),
    };
    zone.from_local_datetime(&label)
        .earliest()
        .unwrap()
        .to_utc()
}

/// The results of the functions for these numbers, which are in the order of their rows.
fn expected(values: &[f64]) -> BTreeMap<String, Option<f64>> {
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let mean = sum / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut found: BTreeMap<String, Option<f64>> = [
        ("avg", Some(mean)),
        ("min", sorted.first().copied()),
        ("max", sorted.last().copied()),
        ("sum", Some(sum)),
        ("count", Some(count)),
        ("first", values.first().copied()),
        ("last", values.last().copied()),
        (
            "stddev",
            (count > 1.0).then(|| (squares / (count - 1.0)).sqrt()),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for percent in [1, 5, 10, 25, 50, 75, 90, 95, 99] {
        let place = (count - 1.0) * f64::from(percent) / 100.0;
        let (low, high) = (
            sorted[place.floor() as usize],
            sorted[place.ceil() as usize],
        );
        let value = low + (high - low) * place.fract();
        found.insert(format!("p{percent}"), Some(value));
    }
    found
}

fn is_near(one: f64, other: f64, scale: f64) -> bool {
    (one - other).abs() <= 1e-9 * (scale.abs() + other.abs()) || one == other
}

async fn sums_of_the_database_are_those_of_the_rows(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    for (device, labels) in [
        ("a", json!(["site=x"])),
        ("b", json!(["z", "site=y"])),
        ("c", json!([])),
    ] {
        let eui = format!("AA0000000000000{device}");
        hub.device(device, &connection, &eui, json!({"labels": labels}))
            .await;
    }
    let table = table(&hub, Value::Null).await;
    let mut dice = Dice(20_261_129);
    let mut rows: Vec<Stored> = (0..1500).map(|_| dice.row()).collect();
    add(&hub, &table, &rows).await;
    // Equal times stay in the order of their keys.
    rows.sort_by_key(|row| row.time);
    let columns = ["temperature", "probes.0.t"];
    let mut asked = 0;
    for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"] {
        for interval in ["30m", "1h", "6h", "1d", "1w", "1mo"] {
            for group_by in ["none", "device", "label:site"] {
                // All combinations would take long; each pair is among these.
                asked += 1;
                if asked % 5 > 1 {
                    continue;
                }
                let tz: Tz = zone.parse().unwrap();
                let query = format!(
                    "interval={interval}&timezone={zone}&group_by={group_by}&functions={FUNCTIONS}\
                     &columns=temperature,probes.0.t&from=2026-03-10T00:00:00.5Z&to=2026-11-09T03:00:00Z"
                );
                let path = format!("data-tables/{table}/rows/aggregate?{query}");
                let answer = hub.get(&path).await.ok();
                let mut groups: BTreeMap<(String, Option<String>, usize), Vec<f64>> =
                    BTreeMap::new();
                let (from, to) = (time("2026-03-10T00:00:00.5Z"), time("2026-11-09T03:00:00Z"));
                let matching: Vec<&Stored> = rows
                    .iter()
                    .filter(|row| row.time >= from && row.time < to)
                    .collect();
                for row in &matching {
                    let group = match (group_by, row.device) {
                        ("device", device) => Some(device.to_owned()),
                        ("label:site", "a") => Some("x".to_owned()),
                        ("label:site", "b") => Some("y".to_owned()),
                        _ => None,
                    };
                    let start = bucket(row.time, interval, tz);
                    let start = start.to_rfc3339_opts(SecondsFormat::AutoSi, true);
                    for (index, column) in columns.iter().enumerate() {
                        if let Some(value) = number(&row.data, column) {
                            let key = (start.clone(), group.clone(), index);
                            groups.entry(key).or_default().push(value);
                        }
                    }
                }
                assert_eq!(answer["rows"], matching.len(), "{query}");
                let buckets = answer["buckets"].as_array().unwrap();
                assert_eq!(buckets.len(), groups.len(), "{query}");
                for (bucket, ((start, group, column), values)) in buckets.iter().zip(&groups) {
                    let place = (&bucket["time"], &bucket["group"], &bucket["column"]);
                    let own = (&json!(start), &json!(group), &json!(columns[*column]));
                    assert_eq!(place, own, "{query}");
                    let scale = values
                        .iter()
                        .fold(0.0, |scale: f64, value| scale.max(value.abs()));
                    for (function, value) in expected(values) {
                        let found = bucket[&function].as_f64();
                        let is_same = match (found, value) {
                            (Some(found), Some(value)) => is_near(found, value, scale),
                            (found, value) => found == value,
                        };
                        assert!(is_same, "{query}: {function} of {values:?}: {bucket}");
                    }
                }
            }
        }
    }
    // A selector picks devices that exist; identifiers also pick others.
    let count = async |query: &str| {
        let path = format!("data-tables/{table}/rows/aggregate?columns=temperature&{query}");
        hub.get(&path).await.ok()["rows"].as_u64().unwrap() as usize
    };
    let of = |devices: &[&str]| {
        rows.iter()
            .filter(|row| devices.contains(&row.device))
            .count()
    };
    assert_eq!(count("selector=site").await, of(&["a", "b"]));
    assert_eq!(count("selector=").await, of(&["a", "b", "c"]));
    assert_eq!(count("device_id=c,gone,unknown").await, of(&["c", "gone"]));
    assert_eq!(count("device_id=a,c&selector=site").await, of(&["a"]));
}

async fn numbers_beyond_sums_are_not_summed(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, json!([{"path": "v", "type": "number"}])).await;
    let at = |hour: u32, minute: u32, value: Value| Stored {
        device: "a",
        time: time(&format!("2026-02-01T{hour:02}:{minute:02}:00Z")),
        data: json!({"v": value}),
    };
    let largest = json!(f64::MAX);
    let rows = [
        at(0, 0, largest.clone()),
        at(0, 1, largest.clone()),
        at(0, 2, json!(1)),
        at(1, 0, json!(1e139)),
        at(1, 1, json!(-1e139)),
        at(2, 0, json!(5e-324)),
        at(2, 1, json!(5e-324)),
        at(3, 0, json!(9_007_199_254_740_993_u64)),
        at(3, 1, json!(u64::MAX)),
    ];
    add(&hub, &table, &rows).await;
    let path = format!(
        "data-tables/{table}/rows/aggregate?interval=1h&functions=avg,sum,stddev,min,max,count,last,p50"
    );
    let answer = hub.get(&path).await.ok();
    let buckets = answer["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 4, "{answer}");
    for name in ["avg", "sum", "stddev"] {
        assert_eq!(buckets[0].get(name), Some(&Value::Null), "{answer}");
    }
    assert_eq!(buckets[0]["max"], largest);
    assert_eq!(buckets[0]["p50"], largest);
    assert_eq!(buckets[0]["min"], 1.0);
    assert_eq!(buckets[0]["count"], 3.0);
    assert_eq!(buckets[0]["last"], 1.0);
    assert!(buckets[0].get("p95").is_none(), "it was not requested");
    assert_eq!(buckets[1]["sum"], 0.0);
    assert!(buckets[1]["stddev"].as_f64().unwrap() > 1e139, "{answer}");
    assert_eq!(buckets[2]["max"], 5e-324);
    assert_eq!(buckets[2]["stddev"], 0.0);
    assert_eq!(buckets[3]["max"], u64::MAX as f64);
}

async fn empty_buckets_are_filled_and_their_number_chooses_their_length(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(
        &hub,
        json!([{"path": "v", "type": "number"}, {"path": "w", "type": "text"}]),
    )
    .await;
    let path = format!("data-tables/{table}/rows/aggregate");
    let get = async |query: &str| hub.get(&format!("{path}?{query}")).await.ok();
    // Nothing is stored yet.
    let empty = get("interval=1h").await;
    assert_eq!((&empty["buckets"], &empty["rows"]), (&json!([]), &json!(0)));
    let span = "from=2026-10-24T22:00:00Z&to=2026-10-25T23:00:00Z&timezone=Europe/Berlin";
    let empty = get(&format!("interval=6h&fill=null&{span}")).await;
    assert_eq!(empty["buckets"].as_array().unwrap().len(), 4, "{empty}");

    let rows: Vec<Stored> = (0..48)
        .map(|hour| Stored {
            device: "a",
            time: time("2026-10-24T22:30:00Z") + chrono::TimeDelta::hours(hour),
            data: match hour {
                3..6 => json!({"v": "broken"}),
                _ => json!({"v": hour}),
            },
        })
        .collect();
    add(&hub, &table, &rows).await;
    let day = get(&format!("interval=1d&functions=count&{span}")).await;
    assert_eq!(day["buckets"].as_array().unwrap().len(), 1);
    assert_eq!(day["buckets"][0]["count"], 22.0, "of 25 hours: {day}");
    assert_eq!(day["buckets"][0]["time"], "2026-10-24T22:00:00Z");
    assert_eq!(
        (&day["interval"], &day["timezone"]),
        (&json!("1d"), &json!("Europe/Berlin"))
    );
    let query = format!("interval=1h&fill=null&group_by=device&functions=count&{span}");
    let each = get(&query).await;
    let buckets = each["buckets"].as_array().unwrap();
    let groups: Vec<_> = buckets.iter().map(|bucket| &bucket["group"]).collect();
    assert_eq!(groups, vec!["a"; 25], "{each}");
    let hours = get(&format!("interval=1h&fill=null&functions=count,max&{span}")).await;
    let hours = hours["buckets"].as_array().unwrap();
    assert_eq!(hours.len(), 25, "{hours:?}");
    for (hour, bucket) in hours.iter().enumerate() {
        let is_gap = (3..6).contains(&hour);
        assert_eq!(bucket["count"], if is_gap { 0.0 } else { 1.0 }, "{bucket}");
        assert_eq!(bucket["max"].is_null(), is_gap, "{bucket}");
    }
    let hours = get(&format!("interval=1h&fill=none&{span}")).await;
    assert_eq!(hours["buckets"].as_array().unwrap().len(), 22);

    // The period is that of the rows: 48 hours.
    for (query, interval) in [
        ("", "10m"),
        ("max_points=50", "1h"),
        ("max_points=12", "6h"),
        ("max_points=10000", "1m"),
        ("max_points=10000&interval=3h", "3h"),
        ("max_points=12&interval=3h", "6h"),
        (
            "max_points=12&from=0001-01-01T00:00:00Z&to=9999-12-31T00:00:00Z&fill=null",
            "12000mo",
        ),
    ] {
        let answer = get(query).await;
        assert_eq!(answer["interval"], interval, "{query}");
        let count = answer["buckets"].as_array().unwrap().len();
        assert!((1..=576).contains(&count), "{query}: {count}");
    }
}

async fn fields_of_uplinks_are_aggregated(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let script = "function decodeUplink(input) {
        return {data: {door: {angle: input.bytes[0]}, name: 'x', list: [1, input.bytes[0] * 2]}};
    }";
    hub.push("a/b", "1", script).await;
    let eui = "AA00000000000001";
    hub.device("d", &connection, eui, json!({"driver": "a/b:1"}))
        .await;
    for (minute, payload) in [(0, "AQ=="), (20, "Ag=="), (59, "Aw=="), (70, "BA==")] {
        let at = time("2026-01-31T12:00:00Z") + chrono::TimeDelta::minutes(minute);
        let message = json!({
            "end_device_ids": {"device_id": "d", "dev_eui": eui, "dev_addr": "00000001"},
            "uplink_message": {"f_cnt": next_frame(), "f_port": 5, "frm_payload": payload,
                "received_at": at.to_rfc3339_opts(SecondsFormat::Secs, true)},
        });
        hub.ingest(&connection, message.to_string()).await.ok();
    }
    let path = "devices/d/uplinks/aggregate?interval=1h&columns=door.angle,list.1,name&functions=avg,max,count";
    let answer = hub.get(path).await.ok();
    let found: Vec<_> = answer["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["time"].as_str().unwrap(),
                one["column"].as_str().unwrap(),
                one["avg"].as_f64().unwrap(),
                one["count"].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(answer["rows"], 4);
    assert_eq!(
        found,
        [
            ("2026-01-31T12:00:00Z", "door.angle", 2.0, 3.0),
            ("2026-01-31T12:00:00Z", "list.1", 4.0, 3.0),
            ("2026-01-31T13:00:00Z", "door.angle", 4.0, 1.0),
            ("2026-01-31T13:00:00Z", "list.1", 8.0, 1.0),
        ]
    );
    for (span, rows) in [
        ("from=2026-01-31T12:20:00Z&to=2026-01-31T13:10:00Z", 2),
        ("from=2026-01-31T12:20:00Z", 3),
        ("to=2026-01-31T12:20:00Z", 1),
    ] {
        let part = hub.get(&format!("{path}&{span}")).await.ok();
        assert_eq!(part["rows"], rows, "{span}");
    }
    let error = hub.get("devices/d/uplinks/aggregate").await.refused(400);
    assert!(error.starts_with("columns: is required"), "{error}");
    let wrong = "devices/d/uplinks/aggregate?columns=name&timezone=Moon";
    let error = hub.get(wrong).await.refused(400);
    assert!(error.starts_with("timezone: must be the name"), "{error}");
}
