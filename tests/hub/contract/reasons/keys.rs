//! Reasons of requests whose `Idempotency-Key` was used before.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Operation, reason};
use crate::{
    eventually,
    support::{
        database::{Database, Held, on_postgres, query_text},
        server::{Hub, WithJson},
    },
};

/// Operations that end before they meet a lock (one reads an archive, one uses no database), or of which a user may
/// have one at a time.
const NOT_HELD_UP: [&str; 4] = [
    "import_driver",
    "try_driver",
    "create_device_import",
    "create_row_import",
];
/// Tables that requests read before they write anything, and tables that every request reads.
const LOCKS: &str = "BEGIN; LOCK TABLE devices, drivers, driver_versions, network_connections, integrations, \
     data_tables, deliveries, device_imports, unknown_devices IN ACCESS EXCLUSIVE MODE; \
     LOCK TABLE users, api_keys, tenants, stream_keys, leases IN SHARE MODE";

/// The operations that take a key.
fn operations() -> Vec<Operation> {
    let mut all = Operation::all();
    all.retain(|operation| operation.lists("idempotency_key_pending"));
    assert!(all.len() > 20, "{} operations", all.len());
    all
}

/// A request that has no fault of its own before it meets the database.
fn keyed(operation: &Operation, hub: &Hub, key: &str) -> RequestBuilder {
    let request = match (operation.media_type(), operation.id()) {
        (None, _) => operation.request(hub),
        (Some("application/json"), id) => operation.with_body(hub, body(id).to_string()),
        (Some(_), _) => operation.with_body(hub, "no archive"),
    };
    request.header("Idempotency-Key", key)
}

/// The first example of the operation's bodies that does not become wrong with time.
fn body(operation: &str) -> Value {
    let examples = include_str!("../../../../openapi/examples.json");
    let examples: Value = serde_json::from_str(examples).unwrap();
    let examples = examples[operation].as_array().unwrap();
    let mut bodies = examples.iter().map(|example| &example["request"]["body"]);
    let body = bodies.find(|body| body["expires_at"].is_null());
    body.unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_request_has_its_reason() {
    let hub = Hub::start(Database::Sqlite).await;
    let request = hub.request(Method::POST, "devices").bearer_auth(&hub.token);
    let request = request.with_json(&json!({"id": "one"}));
    hub.answer(request.header("Idempotency-Key", "used"))
        .await
        .created();
    for operation in operations() {
        let answer = hub.answer(keyed(&operation, &hub, "used")).await;
        let (id, text) = (operation.id(), &answer.text);
        assert_eq!(reason(&answer), "idempotency_key_reused", "{id}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_request_under_way_has_its_reason() {
    on_postgres(async |database: Database| {
        // The hub's own work waits for the locks as well, with a connection each.
        let hub = Hub::start_with(database, &["--database-connections", "20"]).await;
        let url = hub.database_url();
        let claimed = "SELECT count(*)::text FROM idempotency_keys WHERE answer IS NULL \
             AND held_until IS NOT NULL";
        let can_wait = |one: &&Operation| !NOT_HELD_UP.contains(&one.id());
        for operation in operations().iter().filter(can_wait) {
            let id = operation.id();
            let held = Held::start(&url, LOCKS).await;
            let first = hub.answer(keyed(operation, &hub, id));
            let again = async {
                eventually(&format!("the key of {id} is claimed"), async || {
                    (query_text(&url, claimed).await == "1").then_some(())
                })
                .await;
                let again = hub.answer(keyed(operation, &hub, id)).await;
                held.end().await;
                again
            };
            let (_, again) = tokio::join!(first, again);
            assert_eq!(
                reason(&again),
                "idempotency_key_pending",
                "{id}: {}",
                again.text
            );
            hub.sql("DELETE FROM idempotency_keys").await;
        }
    })
    .await;
}
