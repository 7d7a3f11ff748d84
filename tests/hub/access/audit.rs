//! A change and its entry in the audit log: neither without the other.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, PASSWORD},
};

on_both_databases!(a_change_that_cannot_be_noted_is_not_made);

/// Everything that people make, as it is read.
async fn everything(hub: &Hub, details: &[String]) -> Vec<(String, Value)> {
    let lists = [
        "network-connections",
        "drivers",
        "devices",
        "data-tables",
        "integrations",
        "users",
        "api-keys",
        "tenants",
        "audit-log",
    ];
    let mut found = Vec::new();
    for path in lists {
        found.push((path.to_owned(), json!(hub.list(path).await)));
    }
    for path in details {
        let answer = hub.get(path).await;
        found.push((path.clone(), json!([answer.status, answer.body])));
    }
    found
}

async fn a_change_that_cannot_be_noted_is_not_made(database: Database) {
    let mut hub = Hub::start(database).await;
    // The refusals are faults of the hub, which it reports.
    hub.may_complain = true;
    let connection = hub.connect("tts").await;
    let connection = format!("network-connections/{}", connection.id);
    let script = "function decode(p) { return { n: p[0] } }";
    hub.push("a/b", "1", script).await;
    hub.device_without_address("d").await;
    let sigfox = json!({"settings": {"type": "sigfox"}});
    hub.put(&format!("{connection}/downlink-settings"), &sigfox)
        .await
        .ok();
    let table = json!({"name": "t", "selector": ""});
    let table = hub.post("data-tables", &table).await.created();
    let table = format!("data-tables/{}", table["id"]);
    let integration = hub.integration("erp", "", "https://example.com/").await;
    let integration = format!("integrations/{integration}");
    let user = hub.user("eve", "viewer").await;
    let user = format!("users/{}", user["id"]);
    hub.api_key("k", &["read"]).await;
    let key = format!("api-keys/{}", hub.list("api-keys").await[0]["id"]);
    let tenant = hub.tenant("other").await;
    let tenant = format!("tenants/{}", tenant["id"]);
    let target = json!({"type": "http", "url": "https://example.com/"});
    let (post, put, delete) = (Method::POST, Method::PUT, Method::DELETE);
    let new_user = json!({"username": "adam", "password": PASSWORD, "role": "viewer"});
    let changes = [
        (&post, "devices".to_owned(), json!({"id": "new"})),
        (&put, "devices/d".to_owned(), json!({"name": "renamed"})),
        (
            &put,
            "devices/d/state".to_owned(),
            json!({"desired": {"a": 1}}),
        ),
        (
            &post,
            "devices/d/labels".to_owned(),
            json!({"labels": ["new"]}),
        ),
        (&delete, "devices/d".to_owned(), Value::Null),
        (
            &post,
            "devices/bulk".to_owned(),
            json!({"selector": "!x", "dry_run": false, "action": {"type": "add_labels", "labels": ["x"]}}),
        ),
        (
            &post,
            "network-connections".to_owned(),
            json!({"name": "new", "settings": {"type": "loriot"}}),
        ),
        (
            &put,
            connection.clone(),
            json!({"name": "renamed", "settings": {"type": "loriot"}}),
        ),
        (&post, format!("{connection}/ingest-key"), json!({})),
        (
            &delete,
            format!("{connection}/downlink-settings"),
            Value::Null,
        ),
        (&delete, connection.clone(), Value::Null),
        (
            &post,
            "drivers".to_owned(),
            json!({"author": "a", "name": "new", "tags": ["1"], "script": script}),
        ),
        (&delete, "drivers/a/b".to_owned(), Value::Null),
        (
            &post,
            "data-tables".to_owned(),
            json!({"name": "new", "selector": ""}),
        ),
        (
            &put,
            table.clone(),
            json!({"name": "renamed", "selector": ""}),
        ),
        (&delete, table.clone(), Value::Null),
        (
            &post,
            "integrations".to_owned(),
            json!({"name": "new", "selector": "", "target": target}),
        ),
        (
            &put,
            integration.clone(),
            json!({"name": "renamed", "selector": "", "target": target}),
        ),
        (&post, format!("{integration}/pause"), json!({})),
        (&post, format!("{integration}/key"), json!({})),
        (&delete, integration.clone(), Value::Null),
        (&post, "users".to_owned(), new_user),
        (
            &put,
            user.clone(),
            json!({"role": "editor", "locked": true}),
        ),
        (&put, "users/me".to_owned(), json!({"full_name": "Renamed"})),
        (&delete, user.clone(), Value::Null),
        (
            &post,
            "api-keys".to_owned(),
            json!({"name": "new", "scopes": ["read"]}),
        ),
        (&delete, key, Value::Null),
        (
            &post,
            "tenants".to_owned(),
            json!({"name": "new", "administrator": {"username": "new", "password": PASSWORD}}),
        ),
        (&put, tenant.clone(), json!({"name": "renamed"})),
        (&delete, tenant, Value::Null),
    ];
    let details = [
        "devices/d/state".to_owned(),
        format!("{connection}/downlink-settings"),
        "drivers/a/b/tags/1".to_owned(),
        table,
        integration,
        user,
    ];
    let before = everything(&hub, &details).await;
    hub.refuse("INSERT ON audit_log", "true").await;
    for (method, path, body) in &changes {
        let body = Some(body).filter(|body| !body.is_null());
        let answer = hub.call((*method).clone(), path, body).await;
        assert_eq!(answer.status, 500, "{method} {path}: {}", answer.text);
    }
    hub.refuse_no_longer("audit_log").await;
    let after = everything(&hub, &details).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    // It was the entry alone that was missing.
    for (method, path, body) in &changes[..2] {
        let answer = hub.call((*method).clone(), path, Some(body)).await;
        assert!([200, 201].contains(&answer.status), "{}", answer.text);
    }
    let entries = hub.list("audit-log").await.len();
    let noted = before.iter().find(|(path, _)| path == "audit-log");
    assert_eq!(entries, noted.unwrap().1.as_array().unwrap().len() + 2);
}
