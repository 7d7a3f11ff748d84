//! Every operation as every kind of caller, compared with the committed matrix
//! `tests/permissions.txt`. A new operation that nobody may run, or that is missing there, fails.

use std::fmt::Write;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::document::{document, needs_token},
    drivers::registry::digest_of,
    repository,
    support::{
        database::{Database, on_both_databases, surroundings},
        server::{Hub, PASSWORD, WithJson},
    },
};

on_both_databases!(every_operation_as_every_caller);

/// A version of the driver that nothing needs.
const UNTAGGED: &str = "function decode() { return { untagged: true } }";
const MATRIX: &str = "tests/permissions.txt";
/// Set to write the matrix that was found.
const UPDATE: &str = "THINGSHUB_TEST_UPDATE";

async fn every_operation_as_every_caller(database: Database) {
    let hub = Hub::start_with(database, &["--live-stream-s", "0"]).await;
    let ids = provision(&hub).await;
    let callers = callers(&hub).await;
    let mut rows = Vec::new();
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if needs_token(operation) {
                let method: Method = method.to_uppercase().parse().unwrap();
                rows.push(row(&hub, &ids, &callers, method, path, operation).await);
            }
        }
    }
    // Whom it is about matters as well.
    let of_operator = with(&ids, "users", &hub.get("users/me").await.ok()["id"]);
    for (method, id) in [
        (Method::PUT, "update_user"),
        (Method::DELETE, "delete_user"),
    ] {
        let operation = &document()["paths"]["/api/v3/users/{id}"][method.as_str().to_lowercase()];
        let path = "/api/v3/users/{id}";
        let (_, outcomes) = row(&hub, &of_operator, &callers, method, path, operation).await;
        rows.push((format!("{id} (an operator)"), outcomes));
    }
    let found = table(&callers, &rows);
    if surroundings(UPDATE).is_some() {
        std::fs::write(repository(MATRIX), &found).unwrap();
    }
    let committed = std::fs::read_to_string(repository(MATRIX)).unwrap_or_default();
    assert_eq!(
        found, committed,
        "{MATRIX} says something else; if it is meant, set {UPDATE}=1"
    );
    for (operation, outcomes) in &rows {
        assert!(
            outcomes.contains(&"yes".to_owned()),
            "nobody may {operation}"
        );
    }
}

/// Returns the ids with one of them replaced.
fn with(ids: &Value, resource: &str, id: &Value) -> Value {
    let mut ids = ids.clone();
    ids[resource] = id.clone();
    ids
}

/// The outcome of each operation for each caller. Nothing is changed: an allowed call meets a stale ETag or an empty
/// body.
async fn row(
    hub: &Hub,
    ids: &Value,
    callers: &[(String, String)],
    method: Method,
    path: &str,
    operation: &Value,
) -> (String, Vec<String>) {
    let id = operation["operationId"].as_str().unwrap();
    let mut outcomes = Vec::new();
    for (name, token) in callers {
        restore(hub, id).await;
        let token = match (id, name.as_str()) {
            // A session of its own, because the operation ends it.
            ("delete_token", "editor" | "viewer" | "other") => hub.log_in(name, PASSWORD).await,
            ("delete_token", "admin") => hub.log_in("adm", PASSWORD).await,
            ("delete_token", "operator") => hub.log_in("admin", PASSWORD).await,
            _ => token.clone(),
        };
        let leads_to_one = path.contains('{');
        let mut path = filled(path, ids) + &required_query(operation);
        if id == "create_device_labels" {
            path += "?labels=kept";
        }
        let mut request = hub
            .request(method.clone(), &path)
            .bearer_auth(token)
            .header("If-Match", "\"0\"");
        if id == "create_row_import" {
            let file = request.header("Content-Type", "application/octet-stream");
            request = file.body("no header line");
        } else if operation["requestBody"].is_object() {
            request = request.with_json(&body(id));
        }
        let answer = hub.answer(request).await;
        let outcome = match answer.status {
            401 | 403 | 404 => answer.status.to_string(),
            200 | 201 | 400 => "yes".to_owned(),
            status => panic!("{id} as {name}: {status} {}", answer.text),
        };
        // A request that is refused before the resource is looked for shows nothing about tenants.
        let is_shown = outcome != "yes" || name != "other" || !leads_to_one;
        assert!(is_shown, "{id} as another tenant: {}", answer.text);
        outcomes.push(outcome);
    }
    (id.to_owned(), outcomes)
}

/// Returns the query parameters without which the operation is refused, with the values of the document's examples.
fn required_query(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let required =
        parameters.filter(|parameter| parameter["in"] == "query" && parameter["required"] == true);
    let pairs: Vec<String> = required
        .map(|parameter| {
            format!(
                "{}={}",
                text(&parameter["name"]),
                text(&parameter["example"])
            )
        })
        .collect();
    match pairs.is_empty() {
        true => String::new(),
        false => format!("?{}", pairs.join("&")),
    }
}

/// Puts back what an operation without an ETag takes away.
async fn restore(hub: &Hub, operation: &str) {
    match operation {
        "delete_device_label" => {
            hub.post("devices/d/labels?labels=kept", &json!({}))
                .await
                .ok();
        }
        "delete_driver_version" => {
            hub.push("a/b", "2", UNTAGGED).await;
            hub.delete("drivers/a/b/tags/2").await.ok();
        }
        _ => {}
    }
}

pub fn filled(path: &str, ids: &Value) -> String {
    let resource = path.split('/').nth(3).unwrap_or_default();
    // Below devices, there is one more kind with ids of its own.
    let resource = if path.contains("/import/") {
        "device-imports"
    } else {
        resource
    };
    let id = match &ids[resource] {
        Value::String(id) => id.clone(),
        id => id.to_string(),
    };
    path.replace("{id}", &id)
        .replace("{author}", "a")
        .replace("{name}", "b")
        .replace("{tag}", "1")
        .replace("{digest}", &digest_of(UNTAGGED))
        .replace("{label}", "kept")
        .replace("{delivery_id}", text(&ids["deliveries"]))
        .replace("{replay_id}", &ids["replays"].to_string())
        .replace("{fill_id}", &ids["fills"].to_string())
        .replace("{export_id}", &ids["scheduled-exports"].to_string())
        .replace("{number}", &ids["export-runs"].to_string())
        .replace("{import_id}", &ids["row-imports"].to_string())
        .replace("{network_device_id}", "AA000000000000FF")
        .replace("{downlink_id}", text(&ids["downlinks"]))
}

fn text(id: &Value) -> &str {
    id.as_str().unwrap()
}

/// Bodies that are read without a fault where there is an ETag to refuse the change afterwards.
pub fn body(operation: &str) -> Value {
    let target = json!({"type": "http", "url": "https://example.com/"});
    match operation {
        "update_network_connection" => {
            json!({"name": "x", "settings": {"type": "the_things_stack"}})
        }
        // Found, and refused for its id: so that it is there for the next caller.
        "adopt_unknown_device" => json!({"id": "import"}),
        "update_driver_tag" => json!({"digest": digest_of(UNTAGGED)}),
        "create_scheduled_export" => scheduled_export("y"),
        "update_scheduled_export" => scheduled_export("x"),
        "update_data_table" => json!({"name": "x", "selector": ""}),
        "update_integration" => json!({"name": "x", "selector": "", "target": target}),
        "update_downlink_settings" => json!({"settings": {"type": "sigfox"}}),
        "update_device_state" => json!({"desired": {}}),
        "create_downlink" => json!({"payload_hex": "00", "f_port": 1}),
        "update_user" => json!({"role": "viewer"}),
        "update_tenant" => json!({"name": "x"}),
        "create_replay" => json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}),
        _ => json!({}),
    }
}

fn scheduled_export(name: &str) -> Value {
    let target =
        json!({"type": "sftp", "host": "nowhere.invalid", "username": "u", "password": "p"});
    json!({"name": name, "format": "csv", "schedule": "0 0 * * *", "timezone": "UTC",
        "target": target})
}

/// Makes one of everything, and another tenant.
pub async fn provision(hub: &Hub) -> Value {
    let mut ids = provision_tenant(hub).await;
    ids["tenants"] = hub.tenant("other").await["id"].clone();
    ids
}

/// Makes one of everything in the caller's tenant, and returns the ids.
pub async fn provision_tenant(hub: &Hub) -> Value {
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode() { return {} }")
        .await;
    restore(hub, "delete_driver_version").await;
    hub.device("d", &connection, "AA00000000000001", json!({}))
        .await;
    let unknown = crate::support::server::things_stack("AA000000000000FF");
    hub.ingest(&connection, unknown).await.ok();
    let table = json!({"name": "t", "selector": ""});
    let table = hub.post("data-tables", &table).await.created();
    let key = json!({"name": "k", "scopes": ["read"]});
    let key = hub.post("api-keys", &key).await.created();
    let import = hub
        .request(Method::POST, "devices/import")
        .bearer_auth(&hub.token)
        .header("Content-Type", "application/octet-stream")
        .body("id\nimported\n");
    let import = hub.answer(import).await.created();
    let integration = hub.integration("i", "", "https://example.com/").await;
    hub.uplink(&connection, "AA00000000000001").await;
    let path = format!("integrations/{integration}");
    let deliveries = hub.list(&format!("{path}/deliveries")).await;
    let replay = hub
        .post(&format!("{path}/replay"), &body("create_replay"))
        .await
        .created();
    let path = format!("data-tables/{}/fill", table["id"]);
    let fill = hub.post(&path, &json!({})).await.created();
    let path = format!("data-tables/{}/scheduled-exports", table["id"]);
    let export = hub.post(&path, &body("update_scheduled_export")).await;
    let export = export.created();
    let path = format!("{path}/{}/runs", export["id"]);
    let run = hub.post(&path, &json!({})).await.created();
    let file = hub
        .request(Method::POST, &format!("data-tables/{}/import", table["id"]))
        .bearer_auth(&hub.token)
        .header("Content-Type", "application/octet-stream")
        .body("time,device_id,n\n2026-01-01T00:00:00Z,gone,1\n");
    let row_import = hub.answer(file).await.created();
    // A name that stands for nothing.
    let settings =
        json!({"settings": {"type": "http", "method": "POST", "url": "https://nowhere.invalid/"}});
    let path = format!("network-connections/{}/downlink-settings", connection.id);
    hub.put(&path, &settings).await.ok();
    let downlink = hub
        .post("devices/d/downlinks", &json!({"payload_hex": "00"}))
        .await
        .created();
    json!({
        "deliveries": deliveries[0]["id"],
        "replays": replay["id"],
        "fills": fill["id"],
        "scheduled-exports": export["id"],
        "export-runs": run["number"],
        "row-imports": row_import["id"],
        "downlinks": downlink["id"],
        "network-connections": connection.id,
        "device-imports": import["id"],
        "devices": "d",
        "data-tables": table["id"],
        "integrations": integration,
        "users": hub.user("viewer", "viewer").await["id"],
        "api-keys": key["id"],
    })
}

/// The columns of the matrix.
async fn callers(hub: &Hub) -> Vec<(String, String)> {
    hub.user("editor", "editor").await;
    // Its name must not be the first administrator's.
    let body = json!({"username": "adm", "password": PASSWORD, "role": "admin"});
    hub.post("users", &body).await.created();
    let users = [
        ("nobody", "nonsense".to_owned()),
        ("ingest", hub.connect("another").await.key),
        ("viewer", hub.log_in("viewer", PASSWORD).await),
        ("editor", hub.log_in("editor", PASSWORD).await),
        ("admin", hub.log_in("adm", PASSWORD).await),
        ("operator", hub.token.clone()),
        ("other", hub.log_in("other", PASSWORD).await),
    ];
    let mut callers: Vec<_> = users.map(|(name, token)| (name.to_owned(), token)).into();
    let scopes = document()["components"]["schemas"]["KeyScope"]["enum"].clone();
    for scope in scopes.as_array().unwrap() {
        let scope = text(scope);
        let key = hub.api_key(&scope.replace(':', " "), &[scope]).await;
        callers.push((scope.to_owned(), key));
    }
    callers
}

fn table(callers: &[(String, String)], rows: &[(String, Vec<String>)]) -> String {
    let mut text = "\
# What each operation answers to each kind of caller: yes (it runs), or the status that refuses.
# nobody has a token that the hub has not issued, and ingest the ingest key of another network
# connection. viewer, editor and admin are users of one tenant by their role; operator also manages
# the installation; other is the administrator of another tenant, asking for the first one's
# resources. The other columns are API keys by their scope.

"
    .to_owned();
    let mut line = |first: &str, cells: &[&str]| {
        let mut row = format!("{first:<32}");
        for (cell, (caller, _)) in cells.iter().zip(callers) {
            let _ = write!(row, "{cell:<width$}", width = caller.len().max(6) + 2);
        }
        text.push_str(row.trim_end());
        text.push('\n');
    };
    let names: Vec<&str> = callers.iter().map(|(name, _)| name.as_str()).collect();
    line("operation", &names);
    for (operation, outcomes) in rows {
        let outcomes: Vec<&str> = outcomes.iter().map(String::as_str).collect();
        line(operation, &outcomes);
    }
    text
}
