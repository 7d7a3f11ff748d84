//! The dashboard in `examples/grafana`: each of its requests is one that the hub answers, with the fields that the
//! panel reads.

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    repository,
    support::{
        database::{Database, on_both_databases},
        server::{Hub, next_frame},
    },
};

on_both_databases!(every_panel_gets_what_it_asks_for);

fn read(name: &str) -> String {
    std::fs::read_to_string(repository("examples/grafana").join(name)).unwrap()
}

/// Puts values in the places of the dashboard's variables, as Grafana does.
fn filled(text: &str, table: &Value) -> String {
    let values = [
        ("${table}", table.to_string()),
        ("${column}", "t".to_owned()),
        ("${label}", "site".to_owned()),
        ("${selector}", "site".to_owned()),
        ("${zone}", "Europe/Berlin".to_owned()),
        ("${__from:date:iso}", "2026-01-30T00:00:00.000Z".to_owned()),
        ("${__to:date:iso}", "2026-02-02T00:00:00.000Z".to_owned()),
    ];
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(name, &value);
    }
    assert!(!text.contains("${"), "{text}");
    text
}

async fn every_panel_gets_what_it_asks_for(database: Database) {
    let mut hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let script = "function decodeUplink(input) { return {data: {t: input.bytes[0]}}; }";
    hub.push("a/b", "1", script).await;
    let table = json!({"name": "t", "selector": "", "columns": [{"path": "t", "type": "number", "unit": "°C"}]});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    let eui = "AA00000000000001";
    hub.device(
        "d",
        &connection,
        eui,
        json!({"driver": "a/b:1", "labels": ["site=x"]}),
    )
    .await;
    for (minute, payload) in [(10, "AQ=="), (20, "Ag==")] {
        let message = json!({
            "end_device_ids": {"device_id": "d", "dev_eui": eui, "dev_addr": "00000001"},
            "uplink_message": {"f_cnt": next_frame(), "f_port": 5, "frm_payload": payload,
                "received_at": format!("2026-01-31T12:{minute}:00Z")},
        });
        hub.ingest(&connection, message.to_string()).await.ok();
    }
    // The data source has a key that may read, and sends it as a bearer token.
    let source = read("datasource.yaml");
    assert!(source.contains("auth_method: bearerToken"), "{source}");
    hub.token = hub.api_key("grafana", &["read"]).await;
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 4);
    for panel in panels {
        let target = &panel["targets"][0];
        assert_eq!(target["datasource"]["uid"], "thingshub", "{panel}");
        let path = filled(target["url"].as_str().unwrap(), &table);
        let path = path.strip_prefix("/api/v3/").unwrap();
        let mut query = form_urlencoded::Serializer::new(String::new());
        for parameter in target["url_options"]["params"].as_array().unwrap() {
            let value = filled(parameter["value"].as_str().unwrap(), &table);
            query.append_pair(parameter["key"].as_str().unwrap(), &value);
        }
        let answer = hub.get(&format!("{path}?{}", query.finish())).await.ok();
        let root = target["root_selector"].as_str().unwrap();
        let rows: Vec<Value> = match root.split_once('.') {
            None => answer[root].as_array().unwrap().clone(),
            // The selector makes a row of each value of each device.
            Some((root, _)) => {
                let devices = answer[root].as_array().unwrap().iter();
                let values = devices.flat_map(|device| {
                    let values = device["values"].as_array().unwrap().clone();
                    values.into_iter().map(|mut value| {
                        value["device"] = device["device_id"].clone();
                        value
                    })
                });
                values.collect()
            }
        };
        let title = &panel["title"];
        assert!(!rows.is_empty(), "{title}: {answer}");
        for column in target["columns"].as_array().unwrap() {
            let selector = column["selector"].as_str().unwrap();
            let has_all = rows.iter().all(|row| row.get(selector).is_some());
            assert!(has_all, "{title}: {selector} of {rows:?}");
            let has_some = rows.iter().any(|row| !row[selector].is_null());
            assert!(has_some, "{title}: {selector} of {rows:?}");
        }
    }
}
