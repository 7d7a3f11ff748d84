//! `If-Match` is declared where it is honoured, and honoured where it is declared.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    access::permissions::{body, filled, provision},
    contract::document::needs_token,
    drivers::registry::digest_of,
    support::{
        database::{Database, on_both_databases},
        server::{Answer, Hub, PASSWORD, WithJson},
    },
};

on_both_databases!(if_match_is_declared_where_it_is_honoured);

/// Operations that a request of this test does not get through, so that they are known to read no revision
/// for another reason.
const REFUSED: [(&str, &str); 6] = [
    ("create_row_import", "the file has no header line"),
    ("delete_rows", "the end of the period is missing"),
    (
        "import_driver",
        "the archive is none, and a version belongs to nobody",
    ),
    ("resend_delivery", "the delivery is in the queue already"),
    (
        "delete_token",
        "the session has no revision, and no other operation works without it",
    ),
    ("redecode_device_uplinks", "the device has no driver"),
];

/// No resource ever has this revision.
const STALE: &str = "\"0\"";

/// Bodies with which the operations do something, or would if the revision were right.
fn whole_body(operation: &str) -> Value {
    let target = json!({"type": "http", "url": "https://example.com/"});
    match operation {
        "create_network_connection" => {
            json!({"name": "new", "settings": {"type": "the_things_stack"}})
        }
        "create_driver" => json!({"author": "a", "name": "new", "tags": ["1"],
            "script": "function decode() { return {} }"}),
        "try_driver" => {
            json!({"script": "function decode() { return {} }", "payload_hex": "00"})
        }
        "adopt_unknown_device" => json!({"id": "adopted"}),
        "create_downlink" => json!({"payload_hex": "00", "f_port": 1}),
        "create_device_labels" => json!({"labels": ["new"]}),
        "create_device_bulk_change" => json!({"selector": "nothing", "dry_run": true,
            "action": {"type": "add_labels", "labels": ["new"]}}),
        "create_data_table" => json!({"name": "new", "selector": "",
            "columns": [{"path": "a", "type": "number"}]}),
        "create_integration" => json!({"name": "new", "selector": "", "target": target}),
        "create_user" => json!({"username": "another", "password": PASSWORD, "role": "viewer"}),
        "create_api_key" => json!({"name": "new", "scopes": ["read"]}),
        "create_tenant" => json!({"name": "new",
            "administrator": {"username": "somebody", "password": PASSWORD}}),
        "change_own_password" => {
            json!({"current_password": PASSWORD, "new_password": "another battery staple"})
        }
        "update_driver_tag" => json!({"digest": digest_of("function decode() { return {} }")}),
        "update_data_table" => json!({"name": "x", "selector": "",
            "columns": [{"path": "a", "type": "number"}]}),
        operation => body(operation),
    }
}

async fn call(hub: &Hub, method: Method, path: &str, operation: &Value) -> Answer {
    let id = operation["operationId"].as_str().unwrap();
    let token = match id {
        "delete_token" => hub.log_in("admin", PASSWORD).await,
        _ => hub.token.clone(),
    };
    let request = hub.request(method, path).bearer_auth(token);
    let request = request.header("If-Match", STALE);
    let content = &operation["requestBody"]["content"];
    let request = if content["application/json"].is_object() {
        request.with_json(&whole_body(id))
    } else if content.is_object() {
        let request = request.header("Content-Type", "application/octet-stream");
        request.body("id\nimported-now\n")
    } else {
        request
    };
    hub.answer(request).await
}

async fn if_match_is_declared_where_it_is_honoured(database: Database) {
    let hub = Hub::start(database).await;
    let ids = provision(&hub).await;
    hub.post("devices/d/labels?labels=kept", &json!({}))
        .await
        .ok();
    let document = hub.get("/openapi.json").await.ok();
    let (mut declared, mut honoured, mut passed) = (Vec::new(), Vec::new(), Vec::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let parameters = operation["parameters"].as_array();
            let takes = parameters.into_iter().flatten().any(|parameter| {
                parameter["$ref"].as_str() == Some("#/components/parameters/IfMatch")
            });
            if takes {
                declared.push(id.clone());
            }
            if method == Method::GET || !needs_token(operation) {
                assert!(!takes, "{id} changes nothing");
                continue;
            }
            let answer = call(&hub, method, &filled(path, &ids), operation).await;
            let error = answer.body["error"].as_str().unwrap_or_default();
            if error.starts_with("header If-Match: it has been changed") {
                honoured.push(id);
            } else if answer.status >= 300 {
                let known = REFUSED.iter().any(|(operation, _)| *operation == id);
                assert!(known, "{id}: {}", answer.text);
            } else {
                passed.push(id);
            }
        }
    }
    assert_eq!(honoured, declared);
    assert!(honoured.len() > 20, "{honoured:?}");
    assert!(passed.len() > 15, "{passed:?}");
}
