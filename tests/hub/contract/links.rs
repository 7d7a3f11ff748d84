//! The document's links: each leads from a new resource to something that is there.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    database::Database,
    server::{Hub, PASSWORD, things_stack},
};

use super::document::document;

/// Request of an operation that creates something: the values in its path, and the body.
async fn request(hub: &Hub, operation: &str) -> (Value, Value) {
    let span = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"});
    match operation {
        "create_network_connection" => (
            json!({}),
            json!({"name": "linked",
            "settings": {"type": "the_things_stack"}}),
        ),
        "create_driver" => (
            json!({}),
            json!({"author": "a", "name": "linked", "tags": ["1"],
            "script": "function decode() { return {} }"}),
        ),
        "create_device" => (json!({}), json!({"id": "linked"})),
        "create_data_table" => (json!({}), json!({"name": "linked", "selector": ""})),
        "create_integration" => (
            json!({}),
            json!({"name": "linked", "selector": "", "enabled": false,
            "target": {"type": "http", "url": "https://nowhere.invalid/sink"}}),
        ),
        "create_user" => (
            json!({}),
            json!({"username": "linked", "password": PASSWORD,
            "role": "viewer"}),
        ),
        "create_api_key" => (json!({}), json!({"name": "linked", "scopes": ["read"]})),
        "create_tenant" => (
            json!({}),
            json!({"name": "linked",
            "administrator": {"username": "linked-admin", "password": PASSWORD}}),
        ),
        "create_downlink" => {
            let connection = hub.connect("downlinks").await;
            let settings = json!({"settings": {"type": "sigfox"}});
            let path = format!("network-connections/{}/downlink-settings", connection.id);
            hub.put(&path, &settings).await.ok();
            hub.device("downlinked", &connection, "1000000000000001", json!({}))
                .await;
            (
                json!({"id": "downlinked"}),
                json!({"payload_hex": "0011223344556677", "f_port": 1}),
            )
        }
        "create_fill" => {
            let table = json!({"name": "filled", "selector": ""});
            let table = hub.post("data-tables", &table).await.created();
            (json!({"id": table["id"]}), json!({}))
        }
        "create_replay" => {
            let id = hub
                .integration("replayed", "", "https://nowhere.invalid/sink")
                .await;
            (json!({"id": id}), span)
        }
        "adopt_unknown_device" => {
            let connection = hub.connect("adopting").await;
            hub.ingest(&connection, things_stack("1000000000000002"))
                .await
                .ok();
            let values = json!({"id": connection.id, "network_device_id": "1000000000000002"});
            (values, json!({"id": "adopted"}))
        }
        other => panic!("{other} has links: say here what it is called with"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_leads_to_what_is_there() {
    let hub = Hub::start(Database::Sqlite).await;
    let document = document();
    let (mut followed, mut sources) = (0, 0);
    for (path, operation) in creating(&document) {
        let id = operation["operationId"].as_str().unwrap();
        let (values, made) = match id {
            "create_device_import" => {
                let file = hub.request(Method::POST, &path).bearer_auth(&hub.token);
                let file = file
                    .header("Content-Type", "application/octet-stream")
                    .body("id\nfiled\n");
                (json!({}), hub.answer(file).await.created())
            }
            "create_row_import" => {
                let table = json!({"name": "imported", "selector": ""});
                let table = hub.post("data-tables", &table).await.created();
                let values = json!({"id": table["id"]});
                let path = filled(&path, &values);
                let file = hub.request(Method::POST, &path).bearer_auth(&hub.token);
                let file = file
                    .header("Content-Type", "application/octet-stream")
                    .body("time,device_id,n\n2026-01-01T00:00:00Z,gone,1\n");
                (values, hub.answer(file).await.created())
            }
            "import_driver" => {
                hub.push("b/exported", "1", "function decode() { return {} }")
                    .await;
                let archive = hub.request(Method::GET, "drivers/b/exported/export");
                let archive = archive.bearer_auth(&hub.token).send().await.unwrap();
                let archive = archive.bytes().await.unwrap();
                hub.delete("drivers/b/exported").await.ok();
                let file = hub.request(Method::POST, &path).bearer_auth(&hub.token);
                let file = file
                    .header("Content-Type", "application/octet-stream")
                    .body(archive);
                (json!({}), hub.answer(file).await.created())
            }
            _ => {
                let (values, body) = request(&hub, id).await;
                let path = filled(&path, &values);
                (values, hub.post(&path, &body).await.created())
            }
        };
        sources += 1;
        let links = operation["responses"]["201"]["links"].as_object().unwrap();
        let mut targets: Vec<_> = links
            .values()
            .map(|link| target(&document, link, &values, &made))
            .collect();
        // Whoever ends the resource comes last, the one below it before it.
        targets
            .sort_by_key(|(method, path, _)| (*method == Method::DELETE, usize::MAX - path.len()));
        for (method, path, operation) in targets {
            let body = &operation["requestBody"]["content"]["application/json"]["example"];
            let body = Some(body).filter(|body| !body.is_null());
            let query = query(&operation);
            let answer = hub
                .call(method.clone(), &format!("{path}{query}"), body)
                .await;
            assert_ne!(answer.status, 404, "{id}: {method} {path}: {}", answer.text);
            if method == Method::GET {
                assert_eq!(answer.status, 200, "{id}: {method} {path}: {}", answer.text);
            }
            followed += 1;
        }
    }
    assert!(sources >= 10 && followed >= 60, "{sources}, {followed}");
}

/// The operations with links, and their paths.
fn creating(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let linked = |operation: &&Value| operation["responses"]["201"]["links"].is_object();
    paths
        .filter_map(|(path, methods)| {
            let operation = methods.get("post").filter(linked)?;
            Some((path.clone(), operation.clone()))
        })
        .collect()
}

fn target(document: &Value, link: &Value, values: &Value, made: &Value) -> (Method, String, Value) {
    let id = &link["operationId"];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["operationId"] != *id {
                continue;
            }
            let mut found = json!({});
            for (name, expression) in link["parameters"].as_object().unwrap() {
                let expression = expression.as_str().unwrap();
                let value = match expression.strip_prefix("$request.path.") {
                    Some(name) => &values[name],
                    None => made
                        .pointer(expression.strip_prefix("$response.body#").unwrap())
                        .unwrap_or(&Value::Null),
                };
                assert!(!value.is_null(), "{id}: {expression} in {made}");
                found[name] = value.clone();
            }
            let method = method.to_uppercase().parse().unwrap();
            return (method, filled(path, &found), operation.clone());
        }
    }
    panic!("no operation is called {id}");
}

fn filled(path: &str, values: &Value) -> String {
    let mut path = path.to_owned();
    for (name, value) in values.as_object().unwrap() {
        let text = value.as_str().map_or(value.to_string(), ToOwned::to_owned);
        path = path.replace(&format!("{{{name}}}"), &text);
    }
    assert!(!path.contains('{'), "{path}");
    path
}

/// The query of the required parameters.
fn query(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let required: Vec<String> = parameters
        .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
        .map(|parameter| format!("{}=x", parameter["name"].as_str().unwrap()))
        .collect();
    match required.is_empty() {
        true => String::new(),
        false => format!("?{}", required.join("&")),
    }
}
