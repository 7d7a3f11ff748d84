//! Deleted resources are invisible at once, and their rows are removed in chunks while everything else
//! continues.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    access::permissions::provision_tenant,
    eventually, eventually_within,
    support::{
        database::{Database, on_both_databases, on_postgres, query_text, query_texts},
        rows::{count, fill},
        server::{Connection, Hub, PASSWORD, things_stack},
    },
};

on_both_databases!(
    a_data_table_goes_in_stretches,
    a_device_goes_in_stretches_also_when_the_hub_dies,
    an_integration_goes_in_stretches,
    a_connection_leaves_devices_their_events,
    a_tenant_is_shut_at_once_and_goes_with_all_it_has,
    what_was_deleted_gives_its_names_back,
);

const EUI: &str = "AA00000000000001";
/// Twenty stretches.
const MANY: u32 = 20_000;
const AT: &str = "'2026-01-01T00:00:00+00:00'";

/// Waits until all rows are gone, while uplinks are answered. They went in several transactions.
async fn goes_in_stretches(hub: &Hub, connection: &Connection, what: &str) {
    let mut seen = BTreeSet::new();
    eventually_within(std::time::Duration::from_secs(180), what, async || {
        hub.ingest(connection, things_stack(EUI)).await.ok();
        let left = count(hub, what).await;
        seen.insert(left);
        (left == 0).then_some(())
    })
    .await;
    assert!(seen.len() > 3, "{what}: {seen:?}");
}

async fn a_data_table_goes_in_stretches(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let table = json!({"name": "t", "selector": "kept"});
    let id = hub.post("data-tables", &table).await.created()["id"].clone();
    let columns = "tenant_id, id, data_table_id, device_id, ts, data";
    let values = format!("1, ID, {id}, 'd', {AT}, '{{}}'");
    fill(&hub, MANY, "data_table_rows", columns, &values).await;
    let path = format!("data-tables/{id}");
    assert_eq!(hub.delete(&path).await.ok()["name"], "t");
    hub.get(&path).await.refused(404);
    hub.get(&format!("{path}/rows")).await.refused(404);
    hub.delete(&path).await.refused(404);
    assert!(hub.list("data-tables").await.is_empty());
    let what = format!("data_table_rows WHERE data_table_id = {id}");
    goes_in_stretches(&hub, &connection, &what).await;
    eventually("the table itself is gone", async || {
        let what = format!("data_tables WHERE id = {id}");
        (count(&hub, &what).await == 0).then_some(())
    })
    .await;
}

async fn fill_uplinks(hub: &Hub, connection: &Connection, device: &str) -> String {
    let key = query_text(
        &hub.database_url(),
        &format!("SELECT CAST(id AS TEXT) FROM devices WHERE device_id = '{device}'"),
    )
    .await;
    let columns = "tenant_id, id, device_key, connection_id, received_at, ts, radio";
    let values = format!("1, ID, {key}, {}, {AT}, {AT}, '{{}}'", connection.id);
    fill(hub, MANY, "uplinks", columns, &values).await;
    key
}

async fn a_device_goes_in_stretches_also_when_the_hub_dies(database: Database) {
    let mut hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("old", &connection, EUI, json!({"labels": ["a"]}))
        .await;
    let key = fill_uplinks(&hub, &connection, "old").await;
    hub.delete("devices/old").await.ok();
    // The address is free.
    hub.device("new", &connection, EUI, json!({})).await;
    let what = format!("uplinks WHERE device_key = {key}");
    eventually("it has begun", async || {
        (count(&hub, &what).await < u64::from(MANY)).then_some(())
    })
    .await;
    hub.end(Signal::SIGKILL).await;
    let left = count(&hub, &what).await;
    assert!(left > 0, "it had gone at once");
    hub.start_again().await;
    goes_in_stretches(&hub, &connection, &what).await;
    eventually("the device itself is gone", async || {
        let what = format!("devices WHERE id = {key}");
        (count(&hub, &what).await == 0).then_some(())
    })
    .await;
    assert!(!hub.list("devices/new/uplinks?limit=1000").await.is_empty());
}

async fn an_integration_goes_in_stretches(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let id = hub
        .integration("i", "kept", "https://nowhere.invalid/")
        .await;
    let columns = "tenant_id, id, integration_id, device_id, subject_id, state, attempt, body, \
                   created_at, updated_at";
    let values = format!("1, ID, {id}, 'd', ID, 'delivered', 1, '{{}}', {AT}, {AT}");
    fill(&hub, MANY, "deliveries", columns, &values).await;
    let path = format!("integrations/{id}");
    assert_eq!(hub.delete(&path).await.ok()["name"], "i");
    hub.get(&path).await.refused(404);
    hub.get(&format!("{path}/deliveries")).await.refused(404);
    let what = format!("deliveries WHERE integration_id = {id}");
    goes_in_stretches(&hub, &connection, &what).await;
    eventually("the integration itself is gone", async || {
        let what = format!("integrations WHERE id = {id}");
        (count(&hub, &what).await == 0).then_some(())
    })
    .await;
}

async fn a_connection_leaves_devices_their_events(database: Database) {
    let hub = Hub::start(database).await;
    let (former, now) = (hub.connect("former").await, hub.connect("now").await);
    hub.device("d", &former, EUI, json!({})).await;
    let mut join = crate::sample_json("ttn_v3_join.json");
    join["end_device_ids"]["dev_eui"] = EUI.into();
    hub.ingest(&former, join.to_string()).await.ok();
    hub.ingest(&former, things_stack("AA000000000000FF"))
        .await
        .ok();
    let events = hub.list("devices/d/events").await;
    assert_eq!(events.len(), 1, "{events:?}");
    let body = json!({"connectivity": {"connections": [
        {"network_connection_id": now.id, "network_device_id": EUI}]}});
    hub.put("devices/d", &body).await.ok();
    let path = format!("network-connections/{}", former.id);
    hub.delete(&path).await.ok();
    hub.get(&path).await.refused(404);
    hub.ingest(&former, things_stack(EUI)).await.refused(401);
    for table in ["events", "unknown_devices", "downlinks"] {
        let what = format!("{table} WHERE connection_id = {}", former.id);
        eventually("what was the connection's is gone", async || {
            (count(&hub, &what).await == 0).then_some(())
        })
        .await;
    }
    eventually("the connection itself is gone", async || {
        let what = format!("network_connections WHERE id = {}", former.id);
        (count(&hub, &what).await == 0).then_some(())
    })
    .await;
    assert_eq!(hub.list("devices/d/events").await, events);
}

/// Tables of which the tenant has rows before it is deleted.
const FILLED: [&str; 14] = [
    "api_keys",
    "audit_log",
    "data_table_fills",
    "data_table_rows",
    "data_tables",
    "deliveries",
    "delivery_replays",
    "device_imports",
    "devices",
    "downlinks",
    "drivers",
    "network_connections",
    "uplinks",
    "users",
];

/// Returns the tables of the database whose rows belong to tenants.
async fn tables_of_tenants(hub: &Hub) -> Vec<String> {
    let query = match &hub.database {
        Database::Sqlite => {
            "SELECT tables.name AS name FROM sqlite_master AS tables \
             JOIN pragma_table_info(tables.name) AS columns \
             WHERE tables.type = 'table' AND columns.name = 'tenant_id'"
        }
        Database::Postgres(_) => {
            "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.columns \
             WHERE table_schema = current_schema() AND column_name = 'tenant_id'"
        }
    };
    query_texts(&hub.database_url(), query, "name").await
}

async fn a_tenant_is_shut_at_once_and_goes_with_all_it_has(database: Database) {
    let mut hub = Hub::start(database).await;
    let tenant = hub.tenant("other").await["id"].clone();
    let own = std::mem::take(&mut hub.token);
    hub.token = hub.log_in("other", PASSWORD).await;
    provision_tenant(&hub).await;
    let connection = hub.connect("another").await;
    hub.push("a/c", "1", "function decode() { return { n: 1 } }")
        .await;
    hub.device("e", &connection, EUI, json!({"driver": "a/c:1"}))
        .await;
    let key = json!({"name": "another", "scopes": ["read"]});
    let key = hub.post("api-keys", &key).await.created()["key"].clone();
    hub.uplink(&connection, EUI).await;
    let its = std::mem::replace(&mut hub.token, own);
    let tables = tables_of_tenants(&hub).await;
    let mut filled = BTreeSet::new();
    for table in &tables {
        if count(&hub, &format!("{table} WHERE tenant_id = {tenant}")).await > 0 {
            filled.insert(table.as_str());
        }
    }
    for table in FILLED {
        assert!(filled.contains(table), "{table} is empty: {filled:?}");
    }
    hub.delete(&format!("tenants/{tenant}")).await.ok();

    for token in [its.as_str(), key.as_str().unwrap()] {
        let request = hub.request(reqwest::Method::GET, "devices");
        hub.answer(request.bearer_auth(token)).await.refused(401);
    }
    hub.ingest(&connection, things_stack(EUI))
        .await
        .refused(401);
    hub.get(&format!("tenants/{tenant}")).await.refused(404);
    hub.delete(&format!("tenants/{tenant}")).await.refused(404);
    let names: Vec<Value> = hub.list("tenants").await;
    assert_eq!(names.len(), 1, "{names:?}");
    let again = hub.tenant("other").await["id"].clone();
    assert_ne!(again, tenant);
    for table in tables.iter().filter(|table| *table != "audit_log") {
        let what = format!("{table} WHERE tenant_id = {tenant}");
        eventually(&format!("{table} has nothing of the tenant"), async || {
            (count(&hub, &what).await == 0).then_some(())
        })
        .await;
    }
    // Who changed what can still be found out.
    let audited = count(&hub, &format!("audit_log WHERE tenant_id = {tenant}")).await;
    assert!(audited > 10, "{audited}");
    eventually("the tenant itself is gone", async || {
        let what = format!("tenants WHERE id = {tenant}");
        (count(&hub, &what).await == 0).then_some(())
    })
    .await;
    let left = "network_connections WHERE tenant_id = 0";
    eventually("nothing is left of what it had", async || {
        (count(&hub, left).await == 0).then_some(())
    })
    .await;
}

async fn what_was_deleted_gives_its_names_back(database: Database) {
    let hub = Hub::start(database).await;
    for _ in 0..3 {
        let connection = hub.connect("tts").await;
        let more = json!({"name": "The one", "labels": ["a"]});
        hub.device("d", &connection, EUI, more).await;
        hub.uplink(&connection, EUI).await;
        assert_eq!(hub.list("devices/d/uplinks").await.len(), 1);
        let path = format!("network-connections/{}", connection.id);
        hub.delete(&path).await.refused(400);
        hub.delete("devices/d").await.ok();
        hub.get("devices/d").await.refused(404);
        assert!(hub.list("devices?selector=a").await.is_empty());
        hub.delete(&path).await.ok();
    }
    let late = json!({"id": "late", "connectivity": {"connections": [
        {"network_connection_id": 1, "network_device_id": EUI}]}});
    hub.post("devices", &late).await.refused(400);
}

/// Counts the rows that each transaction takes from a table, or puts into it.
async fn watch(hub: &Hub, table: &str, what: &str) {
    for statement in [
        "CREATE TABLE IF NOT EXISTS watched (tx text)".to_owned(),
        "CREATE OR REPLACE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN INSERT INTO watched VALUES (txid_current()::text); RETURN NULL; END $$"
            .to_owned(),
        format!(
            "CREATE TRIGGER watch AFTER {what} ON {table} FOR EACH ROW EXECUTE FUNCTION watch()"
        ),
    ] {
        hub.sql(&statement).await;
    }
}

async fn largest(hub: &Hub) -> (u64, u64) {
    let largest = "SELECT coalesce(max(n), 0)::text FROM \
                   (SELECT count(*) AS n FROM watched GROUP BY tx) AS of_each";
    let largest = query_text(&hub.database_url(), largest).await;
    (largest.parse().unwrap(), count(hub, "watched").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_takes_more_than_a_stretch() {
    on_postgres(async |database: Database| {
        let hub = Hub::start(database).await;
        let connection = hub.connect("tts").await;
        hub.device("d", &connection, EUI, json!({})).await;
        let key = fill_uplinks(&hub, &connection, "d").await;
        watch(&hub, "uplinks", "DELETE").await;
        hub.delete("devices/d").await.ok();
        eventually_within(
            std::time::Duration::from_secs(60),
            "the device itself is gone",
            async || {
                let what = format!("devices WHERE id = {key}");
                (count(&hub, &what).await == 0).then_some(())
            },
        )
        .await;
        let (largest, all) = largest(&hub).await;
        assert_eq!(all, u64::from(MANY));
        assert!(largest <= 1000, "{largest} in one transaction");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_file_are_kept_in_stretches() {
    on_postgres(async |database: Database| {
        let hub = Hub::start(database).await;
        watch(&hub, "device_import_batches", "INSERT").await;
        let rows: String = (0..15_000)
            .map(|number| format!("x y {number}\n"))
            .collect();
        let request = hub
            .request(reqwest::Method::POST, "devices/import?format=csv")
            .bearer_auth(&hub.token)
            .header("Content-Type", "application/octet-stream")
            .body(format!("id\n{rows}"));
        let made = hub.answer(request).await.created();
        let (largest, all) = largest(&hub).await;
        assert_eq!(all, 469, "of 32 rows each");
        assert!(largest <= 20, "{largest} in one transaction");
        let path = format!("devices/import/{}", made["id"]);
        let done = eventually("it is done", async || {
            let import = hub.get(&path).await.ok();
            (import["state"] == "done").then_some(import)
        })
        .await;
        assert_eq!(done["failed"], 15_000);
    })
    .await;
}
