//! Imports of devices, as several tests begin and await them.

use reqwest::Method;
use serde_json::Value;

use crate::{
    eventually,
    support::server::{Answer, Hub},
};

/// Media type of a file that says nothing of its form.
pub const FILE: &str = "application/octet-stream";

/// Sends a file.
pub async fn send(
    hub: &Hub,
    token: &str,
    query: &str,
    kind: &str,
    file: impl Into<Vec<u8>>,
) -> Answer {
    let request = hub
        .request(Method::POST, &format!("devices/import{query}"))
        .bearer_auth(token)
        .header("Content-Type", kind)
        .body(file.into());
    hub.answer(request).await
}

/// Imports a file that says nothing of its form, replacing what is there.
pub async fn import(hub: &Hub, file: impl Into<Vec<u8>>) -> Value {
    let query = "?on_existing=update";
    let begun = send(hub, &hub.token, query, FILE, file).await.created();
    done(hub, &begun).await
}

/// Waits until an import is done.
pub async fn done(hub: &Hub, begun: &Value) -> Value {
    let path = format!("devices/import/{}", begun["id"]);
    eventually("the import is done", async || {
        let import = hub.get(&path).await.ok();
        assert_ne!(import["state"], "failed", "{import}");
        (import["state"] == "done").then_some(import)
    })
    .await
}

/// The errors of an import by a number of their rows: `row` or `line`.
pub async fn errors(hub: &Hub, import: &Value, number: &str) -> Vec<(i64, String)> {
    let path = format!("devices/import/{}/rows?outcome=failed", import["id"]);
    let error = |row: &Value| {
        let error = row["error"].as_str().unwrap().to_owned();
        (row[number].as_i64().unwrap(), error)
    };
    hub.list(&path).await.iter().map(error).collect()
}

/// All rows, made or replaced, failed.
pub fn counts(import: &Value) -> [i64; 3] {
    let [total, created, updated, failed] =
        ["rows_total", "created", "updated", "failed"].map(|name| import[name].as_i64().unwrap());
    [total, created + updated, failed]
}
