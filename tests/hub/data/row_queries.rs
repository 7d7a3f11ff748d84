//! Questions about rows: conditions on their values, and pages in both directions.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    rows::fill,
    server::Hub,
};

on_both_databases!(
    conditions_hold_for_values_of_their_type,
    columns_with_odd_names_are_found,
    a_condition_that_does_not_fit_the_columns_is_refused,
    pages_go_in_both_directions,
    an_export_has_the_same_rows_as_the_list,
);

const COLUMNS: &str = "tenant_id, id, data_table_id, device_id, ts, data";

async fn table(hub: &Hub, columns: Value) -> i64 {
    let body = json!({"name": "t", "selector": "", "columns": columns});
    let table = hub.post("data-tables", &body).await.created();
    table["id"].as_i64().unwrap()
}

/// Adds rows with these data, a minute apart.
async fn add(hub: &Hub, table: i64, data: &[Value]) {
    for (minute, data) in data.iter().enumerate() {
        let data = data.to_string().replace('\'', "''");
        let cast = match &hub.database {
            Database::Sqlite => "",
            Database::Postgres(_) => "::jsonb",
        };
        let at = format!("'2026-02-01T12:{minute:02}:00+00:00'");
        let values = format!("1, ID, {table}, 'd', {at}, '{data}'{cast}");
        fill(hub, 1, "data_table_rows", COLUMNS, &values).await;
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The values of `n` in the rows that match.
async fn matching(hub: &Hub, table: i64, filter: &str) -> Vec<i64> {
    let path = format!("data-tables/{table}/rows?filter={}", encoded(filter));
    let rows = hub.list(&path).await;
    let numbers = rows.iter().map(|row| row["data"]["n"].as_i64().unwrap());
    numbers.collect()
}

async fn conditions_hold_for_values_of_their_type(database: Database) {
    let hub = Hub::start(database).await;
    let all_fields = table(&hub, Value::Null).await;
    // Values of all types in one column, among them texts that look like numbers and one that is none.
    let values = [
        json!({"n": 0, "v": 21.5}),
        json!({"n": 1, "v": 30}),
        json!({"n": 2, "v": -4}),
        json!({"n": 3, "v": "abc"}),
        json!({"n": 4, "v": "30"}),
        json!({"n": 5, "v": true}),
        json!({"n": 6, "v": null}),
        json!({"n": 7}),
        json!({"n": 8, "v": [30]}),
        json!({"n": 9, "v": {"x": 30}}),
        json!({"n": 10, "v": false}),
        json!({"n": 11, "v": 0.1}),
        json!({"n": 12, "v": 9_007_199_254_740_993_i64}),
        json!({"n": 13, "v": 1.0e300}),
        json!({"n": 14, "v": "Äpfel, \"rot\""}),
        json!({"n": 15, "v": "Zebra"}),
        json!({"n": 16, "v": 0.30000000000000004}),
    ];
    add(&hub, all_fields, &values).await;
    for (filter, expected) in [
        ("v>21", vec![0, 1, 12, 13]),
        ("v>=30, v<1e3", vec![1]),
        ("v<0", vec![2]),
        ("v=30", vec![1]),
        ("v=30.0", vec![1]),
        ("v=0.1", vec![11]),
        ("v=0.30000000000000004", vec![16]),
        ("v=0.3", vec![]),
        ("v=9007199254740993", vec![12]),
        ("v=9007199254740992", vec![]),
        ("v>1e299", vec![13]),
        ("v!=30", vec![0, 2, 11, 12, 13, 16]),
        ("v=\"30\"", vec![4]),
        ("v=abc", vec![3]),
        ("v!=abc", vec![4, 14, 15]),
        // By code points, whatever the locale of the database is.
        ("v<a", vec![4, 15]),
        ("v>b", vec![14]),
        (r#"v="Äpfel, \"rot\"""#, vec![14]),
        ("v=true", vec![5]),
        ("v!=true", vec![10]),
        ("v=true, n<3", vec![]),
        ("v>0, n>0, n<=11", vec![1, 11]),
        ("gone=1", vec![]),
    ] {
        let found = matching(&hub, all_fields, filter).await;
        assert_eq!(found, expected, "{filter}");
    }
    let path = format!("data-tables/{all_fields}/rows?filter=v%3E21&total=true&limit=2");
    let page = hub.get(&path).await.ok();
    assert_eq!(page["total"], 4, "{page}");
    let next = page["next_cursor"].as_str().unwrap();
    let page = hub.get(&format!("{path}&cursor={next}")).await.ok();
    let rest: Vec<&Value> = page["collection"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["data"]["n"])
        .collect();
    assert_eq!(rest, [12, 13], "{page}");
    // A cursor belongs to its conditions.
    let other = path.replace("v%3E21", "v%3E22");
    let error = hub
        .get(&format!("{other}&cursor={next}"))
        .await
        .refused(400);
    assert!(error.starts_with("cursor: "), "{error}");
}

async fn columns_with_odd_names_are_found(database: Database) {
    let hub = Hub::start(database).await;
    let names = [
        "door.open",
        "a \"b\"",
        "x\\y",
        "Außen, °C",
        "$.v",
        "[0]",
        "0",
        "it's",
        "a=b",
        "?",
        "$1",
        "v%",
        ":x",
    ];
    let all_fields = table(&hub, Value::Null).await;
    let mut rows = vec![json!({"n": -1, "door": {"open": 1}, "v": 1})];
    for (n, name) in names.iter().enumerate() {
        rows.push(json!({"n": n, (*name): n}));
    }
    add(&hub, all_fields, &rows).await;
    for (n, name) in (0..).zip(names) {
        let filter = format!("{}={n}", json!(name));
        assert_eq!(matching(&hub, all_fields, &filter).await, [n], "{filter}");
    }
}

async fn a_condition_that_does_not_fit_the_columns_is_refused(database: Database) {
    let hub = Hub::start(database).await;
    let columns = json!([
        {"path": "temperature", "type": "number"},
        {"path": "serial", "type": "text"},
        {"path": "door.open", "type": "boolean"},
    ]);
    let columned = table(&hub, columns).await;
    let row = json!({"n": 1, "temperature": 30.5, "serial": "007", "door.open": true});
    add(&hub, columned, &[row]).await;
    for filter in ["temperature>30", "serial=007", "door.open=true, serial!=7"] {
        assert_eq!(matching(&hub, columned, filter).await, [1], "{filter}");
    }
    for (filter, start) in [
        ("temperatur>30", "filter: temperatur: must be a column of"),
        (
            "temperature>warm",
            "filter: temperature: must be compared with a number",
        ),
        (
            "door.open=7",
            "filter: door.open: must be compared with true or",
        ),
        ("door.open>true", "filter: door.open: true and false are"),
        ("serial", "filter: serial: must be followed by"),
        (
            "serial=1,",
            "filter: each condition must begin with a column",
        ),
        ("", "filter: must have 1 to 2000 characters"),
    ] {
        for format in ["rows", "rows.csv"] {
            let path = format!("data-tables/{columned}/{format}?filter={}", encoded(filter));
            let error = hub.get(&path).await.refused(400);
            assert!(error.starts_with(start), "{path}: {error}");
        }
    }
}

async fn pages_go_in_both_directions(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, Value::Null).await;
    let data: Vec<Value> = (0..7).map(|n| json!({"n": n})).collect();
    add(&hub, table, &data).await;
    // Rows of one time are ordered by their ids, in both directions.
    let at = "'2026-02-01T12:03:00+00:00'";
    let values = format!("1, ID, {table}, 'd', {at}, '{{\"n\": 3}}'");
    fill(&hub, 3, "data_table_rows", COLUMNS, &values).await;

    let all = async |query: &str| {
        let mut found = Vec::new();
        let mut path = format!("data-tables/{table}/rows?limit=2{query}");
        loop {
            let page = hub.get(&path).await.ok();
            found.extend(page["collection"].as_array().unwrap().clone());
            let Some(next) = page["next_cursor"].as_str() else {
                return found;
            };
            path = format!("data-tables/{table}/rows?limit=2{query}&cursor={next}");
        }
    };
    let ascending = all("").await;
    assert_eq!(ascending, all("&sort=time").await);
    let mut descending = all("&sort=-time").await;
    assert_eq!(descending[0]["data"]["n"], 6);
    assert_eq!(descending.len(), 10);
    descending.reverse();
    assert_eq!(descending, ascending);

    let span = "&device_id=d&from=2026-02-01T12:02:00Z&to=2026-02-01T12:05:00Z";
    let mut within = all(&format!("{span}&sort=-time&filter=n!%3D4")).await;
    within.reverse();
    let numbers: Vec<i64> = within
        .iter()
        .map(|row| row["data"]["n"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [2, 3, 3, 3, 3]);

    let path = format!("data-tables/{table}/rows");
    let page = hub.get(&format!("{path}?limit=2&sort=-time")).await.ok();
    let next = page["next_cursor"].as_str().unwrap();
    let error = hub.get(&format!("{path}?cursor={next}")).await.refused(400);
    assert!(error.starts_with("cursor: "), "{error}");
    let error = hub.get(&format!("{path}?sort=-at")).await.refused(400);
    assert_eq!(error, "sort: must be one of time, -time");
}

async fn an_export_has_the_same_rows_as_the_list(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, json!([{"path": "n", "type": "number"}])).await;
    let data: Vec<Value> = (0..5).map(|n| json!({"n": n})).collect();
    add(&hub, table, &data).await;
    let path = format!("data-tables/{table}/rows.csv?filter=n%3E1&sort=-time");
    let numbers = |text: &str| {
        let lines = text.lines().skip(1);
        let last = lines.map(|line| line.rsplit(',').next().unwrap().to_owned());
        last.collect::<Vec<String>>()
    };
    assert_eq!(numbers(&hub.get(&path).await.text), ["4", "3", "2"]);
    let page = hub.get(&format!("{path}&limit=2")).await;
    assert_eq!(numbers(&page.text), ["4", "3"]);
    let link = page.headers["link"].to_str().unwrap();
    let next = link.trim_start_matches("</api/v3/").split('>').next();
    assert_eq!(numbers(&hub.get(next.unwrap()).await.text), ["2"]);
}
