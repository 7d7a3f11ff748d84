//! Last values of the devices in a data table.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    rows::{ago, fill},
    server::Hub,
};

on_both_databases!(
    each_column_has_its_last_value,
    devices_are_paged_and_filtered,
);

const COLUMNS: &str = "tenant_id, id, data_table_id, device_id, ts, data";

async fn table(hub: &Hub, name: &str, columns: Value) -> Value {
    let table = json!({"name": name, "selector": "", "columns": columns});
    hub.post("data-tables", &table).await.created()["id"].clone()
}

/// Adds a row of some minutes ago.
async fn add(hub: &Hub, table: &Value, device: &str, minutes: i64, data: &Value) {
    let time = ago(0) - chrono::TimeDelta::minutes(minutes);
    let time = time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    let values = format!("1, ID, {table}, '{device}', '{time}', '{data}'");
    // A literal in a SELECT is a text to PostgreSQL.
    let values = match &hub.database {
        Database::Sqlite => values,
        Database::Postgres(_) => {
            format!("1, ID, {table}, '{device}', '{time}'::timestamptz, '{data}'::jsonb")
        }
    };
    fill(hub, 1, "data_table_rows", COLUMNS, &values).await;
}

async fn each_column_has_its_last_value(database: Database) {
    let hub = Hub::start(database).await;
    let columns = json!([
        {"path": "t", "type": "number", "unit": "°C"},
        {"path": "door.open", "type": "boolean"},
        {"path": "never", "type": "text"},
    ]);
    let fixed = table(&hub, "fixed", columns).await;
    let all = table(&hub, "all", Value::Null).await;
    for table in [&fixed, &all] {
        add(&hub, table, "a", 60, &json!({"t": 1, "door.open": true})).await;
        add(&hub, table, "a", 30, &json!({"t": 2})).await;
        add(&hub, table, "a", 10, &json!({"t": null, "other": 5})).await;
    }
    let device = hub
        .list(&format!("data-tables/{fixed}/latest"))
        .await
        .remove(0);
    assert_eq!(device["device_id"], "a");
    let age = device["age_s"].as_u64().unwrap();
    assert!((600..900).contains(&age), "{device}");
    let values = device["values"].as_array().unwrap();
    assert_eq!(values.len(), 2, "{device}");
    assert_eq!(
        (
            &values[0]["column"],
            &values[0]["value"],
            &values[0]["unit"]
        ),
        (&json!("t"), &json!(2), &json!("°C"))
    );
    assert_eq!(
        (&values[1]["column"], &values[1]["value"]),
        (&json!("door.open"), &json!(true))
    );
    assert_eq!(values[1].get("unit"), Some(&Value::Null), "{device}");
    assert!(values[1]["age_s"].as_u64() >= Some(3600), "{device}");
    assert!(
        values[1]["time"].as_str() < values[0]["time"].as_str(),
        "{device}"
    );

    let device = hub
        .list(&format!("data-tables/{all}/latest"))
        .await
        .remove(0);
    let names: Vec<&str> = device["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value["column"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["door.open", "other", "t"]);

    // An older value is not looked for among more rows than these.
    for minutes in 0..100 {
        add(&hub, &fixed, "b", minutes, &json!({"t": minutes})).await;
    }
    add(&hub, &fixed, "b", 200, &json!({"never": "x"})).await;
    let devices = hub.list(&format!("data-tables/{fixed}/latest")).await;
    assert_eq!(
        devices[1]["values"].as_array().unwrap().len(),
        1,
        "{devices:?}"
    );
}

async fn devices_are_paged_and_filtered(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let table = table(&hub, "t", Value::Null).await;
    let other = self::table(&hub, "other", Value::Null).await;
    for (index, device) in ["a", "B", "c-1", "d"].into_iter().enumerate() {
        let labels = if index % 2 == 0 {
            json!(["even"])
        } else {
            json!([])
        };
        let eui = format!("AA0000000000000{index}");
        hub.device(device, &connection, &eui, json!({"labels": labels}))
            .await;
        add(&hub, &table, device, 5, &json!({"t": index})).await;
        add(&hub, &table, device, 9, &json!({"t": 77})).await;
    }
    add(&hub, &table, "gone", 5, &json!({"t": 4})).await;
    add(&hub, &other, "elsewhere", 5, &json!({"t": 4})).await;
    hub.device(
        "silent",
        &connection,
        "AA0000000000000F",
        json!({"labels": ["even"]}),
    )
    .await;
    let path = format!("data-tables/{table}/latest");
    let pages = async |query: &str| {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = hub
                .get(&format!("{path}?limit=2&total=true{query}{cursor}"))
                .await
                .ok();
            for device in page["collection"].as_array().unwrap() {
                found.push(device["device_id"].as_str().unwrap().to_owned());
            }
            let total = page["total"].as_u64().unwrap();
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => {
                    assert_eq!(found.len() as u64, total, "{query}: {found:?}");
                    found.sort();
                    return found;
                }
            }
        }
    };
    assert_eq!(pages("").await, ["B", "a", "c-1", "d", "gone"]);
    assert_eq!(pages("&selector=even").await, ["a", "c-1"]);
    assert_eq!(pages("&selector=").await, ["B", "a", "c-1", "d"]);
    assert_eq!(
        pages("&device_id=gone,a,none,a,B").await,
        ["B", "a", "gone"]
    );
    assert_eq!(pages("&device_id=gone,a,d&selector=even").await, ["a"]);
    assert_eq!(pages("&selector=nobody").await, [""; 0]);
    hub.get(&format!("{path}?selector=a%20b"))
        .await
        .refused(400);
    hub.get("data-tables/9999/latest").await.refused(404);
}
