//! Columns of any name that a data table can have: every question about rows finds their values.

use serde_json::{Map, Value, json};
use url::form_urlencoded::byte_serialize;

use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, next_frame},
};

on_both_databases!(columns_of_any_name_can_be_asked);

/// Names that a path of SQL, a URL, a chart or a grammar could take for its own.
const NAMES: [&str; 12] = [
    "say \"hi\"",
    "\"",
    "back\\slash",
    "\\",
    "it's",
    "a.1.2.3.4.5",
    "$.a[0]",
    "100 % sûr?",
    "-1",
    "#;--",
    "a=b<c>d!",
    "<b>&amp;",
];

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

async fn columns_of_any_name_can_be_asked(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let values = NAMES.iter().enumerate().map(|(index, name)| {
        let value = Value::from(index + 1);
        ((*name).to_owned(), value)
    });
    let data = Value::Object(values.collect::<Map<_, _>>());
    let script = format!("function decodeUplink(input) {{ return {{data: {data}}}; }}");
    hub.push("a/b", "1", &script).await;
    let eui = "AA00000000000001";
    hub.device("d", &connection, eui, json!({"driver": "a/b:1"}))
        .await;
    let columns = NAMES.map(|path| json!({"path": path, "type": "number"}));
    let mut tables = Vec::new();
    for columns in [json!(columns), Value::Null] {
        let table =
            json!({"name": format!("t{}", tables.len()), "selector": "", "columns": columns});
        tables.push(hub.post("data-tables", &table).await.created()["id"].clone());
    }
    let message = json!({
        "end_device_ids": {"device_id": "d", "dev_eui": eui, "dev_addr": "00000001"},
        "uplink_message": {"f_cnt": next_frame(), "f_port": 5, "frm_payload": "AQ=="},
    });
    hub.ingest(&connection, message.to_string()).await.ok();

    for table in &tables {
        let latest = hub.list(&format!("data-tables/{table}/latest")).await;
        let latest = latest[0]["values"].as_array().unwrap();
        for (index, name) in NAMES.iter().enumerate() {
            let (name, value) = (*name, (index + 1) as f64);
            let column = encoded(name);
            let base = format!("data-tables/{table}");
            // More indexes than can be looked up are admitted only as the name of a column.
            let is_refused = name == NAMES[5] && *table == tables[1];
            let paths = [
                format!("{base}/rows/aggregate?columns={column}"),
                format!("devices/d/uplinks/aggregate?columns={column}"),
            ];
            for (path, is_refused) in paths.iter().zip([is_refused, name == NAMES[5]]) {
                let answer = hub.get(path).await;
                if is_refused {
                    let rule = "columns: must have at most 3 indexes of arrays";
                    assert_eq!(answer.refused(400), rule, "{path}");
                    continue;
                }
                let answer = answer.ok();
                assert_eq!(answer["buckets"][0]["column"], name, "{path}");
                assert_eq!(answer["buckets"][0]["avg"].as_f64(), Some(value), "{path}");
            }
            if !is_refused {
                let path = format!("{base}/chart.svg?columns={column}");
                assert_eq!(hub.get(&path).await.status, 200, "{path}");
            }
            let last = latest.iter().find(|last| last["column"] == name);
            assert_eq!(last.unwrap()["value"].as_f64(), Some(value), "{latest:?}");
            for (value, many) in [(value, 1), (value + 1.0, 0)] {
                let filter = encoded(&format!("{}={value}", json!(name)));
                let rows = hub.list(&format!("{base}/rows?filter={filter}")).await;
                assert_eq!(rows.len(), many, "{name} {value}");
            }
        }
    }
    let base = format!("data-tables/{}", tables[0]);
    let all = hub
        .get(&format!("{base}/rows/aggregate?functions=sum"))
        .await
        .ok();
    assert_eq!(all["buckets"].as_array().unwrap().len(), NAMES.len());
    for path in ["chart.svg", "rows.csv", "rows.parquet"] {
        let path = format!("{base}/{path}");
        assert_eq!(hub.get(&path).await.status, 200, "{path}");
    }
}
