//! Aggregations that are refused: wrong parameters, too much to read or to answer, and too many at a time.

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json};

use crate::{
    contract::limits::bounds,
    support::{
        database::{Database, Held, on_both_databases, on_postgres},
        rows::fill,
        server::Hub,
    },
};

on_both_databases!(
    what_would_read_or_answer_too_much_is_refused,
    wrong_parameters_name_the_rule,
);

async fn table(hub: &Hub, columns: Value) -> Value {
    let table = json!({"name": "t", "selector": "", "columns": columns});
    hub.post("data-tables", &table).await.created()["id"].clone()
}

async fn what_would_read_or_answer_too_much_is_refused(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, Value::Null).await;
    let number = "cast(n.i AS text)";
    let (at, data) = match &hub.database {
        Database::Sqlite => (
            "strftime('%Y-%m-%dT%H:%M:%S+00:00', 1767225600 + n.i * 60, 'unixepoch')",
            format!("'{{\"v\": ' || {number} || '}}'"),
        ),
        Database::Postgres(_) => (
            "to_timestamp(1767225600 + n.i * 60)",
            format!("('{{\"v\": ' || {number} || '}}')::jsonb"),
        ),
    };
    let columns = "tenant_id, id, data_table_id, device_id, ts, data";
    let values = format!("1, ID, {table}, 'a', {at}, {data}");
    fill(&hub, 12_600, "data_table_rows", columns, &values).await;
    let path = format!("data-tables/{table}/rows/aggregate");
    let many = (0..16)
        .map(|n| format!("c{n}"))
        .collect::<Vec<_>>()
        .join(",");
    for (query, start) in [
        (
            format!("columns={many}&functions=p95"),
            "from: the period has more than 12500 rows",
        ),
        (
            "columns=v&interval=1m".to_owned(),
            "interval: the answer would have more than 10000 items",
        ),
        (
            "columns=v&interval=1m&fill=null&from=2000-01-01T00:00:00Z".to_owned(),
            "interval: the answer would have more than 10000 items",
        ),
    ] {
        let error = hub.get(&format!("{path}?{query}")).await.refused(400);
        assert!(error.starts_with(start), "{query}: {error}");
    }
    let chart = format!("data-tables/{table}/chart.svg?columns={many}");
    let error = hub.get(&chart).await.refused(400);
    let start = "from: the period has more than 12500 rows";
    assert!(error.starts_with(start), "{error}");
    let answer = hub
        .get(&format!("{path}?columns={many}&max_points=12"))
        .await
        .ok();
    assert_eq!(
        (&answer["rows"], &answer["buckets"]),
        (&json!(12_600), &json!([]))
    );
    // Several stretches of time are read, and put together again.
    let answer = hub
        .get(&format!(
            "{path}?columns=v&interval=12mo&functions=sum,count,first,last"
        ))
        .await
        .ok();
    let bucket = &answer["buckets"][0];
    assert_eq!(bucket["sum"], 12_600.0 * 12_601.0 / 2.0, "{answer}");
    assert_eq!(
        (&bucket["first"], &bucket["last"]),
        (&json!(1.0), &json!(12_600.0))
    );
}

async fn wrong_parameters_name_the_rule(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(
        &hub,
        json!([{"path": "v", "type": "number"}, {"path": "w", "type": "text"}]),
    )
    .await;
    let texts =
        json!({"name": "texts", "selector": "", "columns": [{"path": "w", "type": "text"}]});
    let texts = hub.post("data-tables", &texts).await.created()["id"].clone();
    let most: Vec<Value> = (1..=17)
        .map(|number| json!({"path": format!("c{number}"), "type": "number"}))
        .collect();
    let wide = json!({"name": "wide", "selector": "", "columns": most});
    let wide = hub.post("data-tables", &wide).await.created()["id"].clone();
    let all = json!({"name": "all", "selector": ""});
    let all = hub.post("data-tables", &all).await.created()["id"].clone();
    for (table, query, start) in [
        (
            &wide,
            "interval=1h",
            "columns: is required: the data table has 17 columns",
        ),
        (
            &table,
            "interval=0m",
            "interval: must be a number of minutes",
        ),
        (&table, "interval=1000y", "interval: must"),
        (&table, "interval=12000mo", "interval: must "),
        (
            &table,
            "interval=7m",
            "interval: must be a number of minutes",
        ),
        (
            &table,
            "max_points=0",
            "max_points: must be an integer from 12",
        ),
        (
            &table,
            "max_points=10001",
            "max_points: must be an integer from 12",
        ),
        (
            &table,
            "functions=median",
            "functions: must be names from avg",
        ),
        (&table, "functions=", "functions: must "),
        (
            &table,
            "columns=x",
            "columns: the data table has no column \"x\"",
        ),
        (
            &table,
            "columns=v,w",
            "columns: the column \"w\" has no numbers",
        ),
        (&table, "columns=v,", "columns: must be 1 to 16 paths"),
        (
            &table,
            "from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z",
            "to: must not be before from",
        ),
        (
            &table,
            "timezone=Mars/Olympus",
            "timezone: must be the name of a time zone",
        ),
        (&table, "selector=a%20b", "selector: at column"),
        (&table, "device_id=a,,b", "device_id: must be 1 to 100"),
        (&table, "group_by=label:", "group_by: must"),
        (&table, "fill=zero", "fill: "),
        (
            &table,
            "interval=1h&interval=2h",
            "query parameter \"interval\"",
        ),
        (
            &texts,
            "interval=1h",
            "columns: the data table has no column of the type number",
        ),
        (
            &all,
            "interval=1h",
            "columns: is required: the data table has no fixed columns",
        ),
        (
            &all,
            "columns=a.1.2.3.4",
            "columns: must have at most 3 indexes",
        ),
    ] {
        let path = format!("data-tables/{table}/rows/aggregate?{query}");
        let error = hub.get(&path).await.refused(400);
        assert!(error.starts_with(start), "{query}: {error}");
    }
    hub.get("data-tables/9999/rows/aggregate")
        .await
        .refused(404);
    hub.get("devices/none/uplinks/aggregate?columns=a")
        .await
        .refused(404);
    let answer = hub
        .get(&format!(
            "data-tables/{table}/rows/aggregate?device_id=none"
        ))
        .await
        .ok();
    assert_eq!(answer["buckets"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_beyond_a_tenants_share_are_refused() {
    on_postgres(async |database: Database| {
        let flags = ["--database-timeout-s", "60", "--request-timeout-s", "60"];
        let hub = Hub::start_with(database, &flags).await;
        let table = table(&hub, json!([{"path": "v", "type": "number"}])).await;
        hub.device_without_address("d").await;
        let lock = "BEGIN; LOCK TABLE data_table_rows IN ACCESS EXCLUSIVE MODE";
        let held = Held::start(&hub.database_url(), lock).await;
        let share = bounds("Aggregations at a time")[2];
        let path = format!("data-tables/{table}/rows/aggregate");
        let mut sent: FuturesUnordered<_> = (0..share + 3).map(|_| hub.get(&path)).collect();
        // Requests within the share wait for the lock.
        for _ in 0..3 {
            let error = sent.next().await.unwrap().refused(503);
            assert!(
                error.starts_with("too many aggregations of this tenant"),
                "{error}"
            );
        }
        for path in [
            path.clone(),
            format!("data-tables/{table}/latest"),
            format!("data-tables/{table}/chart.svg"),
            "devices/d/uplinks/aggregate?columns=v".to_owned(),
            "devices/d/chart.svg?columns=v".to_owned(),
        ] {
            let answer = hub.get(&path).await;
            assert_eq!(
                answer.headers["x-error-reason"], "overloaded",
                "{path}: {}",
                answer.text
            );
            assert!(answer.headers.contains_key("retry-after"), "{path}");
        }
        held.end().await;
        while let Some(answer) = sent.next().await {
            answer.ok();
        }
        hub.get(&path).await.ok();
    })
    .await;
}
