//! Another tenant's things are not there.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, PASSWORD},
};

on_both_databases!(
    another_tenants_things_are_not_there,
    a_tenant_s_first_administrator_is_as_told,
);

async fn a_tenant_s_first_administrator_is_as_told(database: Database) {
    let mut hub = Hub::start(database).await;
    let administrator = json!({"username": "ada", "password": PASSWORD, "full_name": "Ada Other",
        "email": "ada@example.com", "country": "UK"});
    let body = json!({"name": "other", "administrator": administrator});
    let tenant = hub.post("tenants", &body).await.created()["id"].clone();
    let renamed = json!({"name": "renamed"});
    hub.put(&format!("tenants/{tenant}"), &renamed).await.ok();
    let entry = hub.list("audit-log?action=update_tenant").await.remove(0);
    assert_eq!(
        (&entry["before"]["name"], &entry["after"]["name"]),
        (&json!("other"), &json!("renamed"))
    );
    hub.token = hub.log_in("ada", PASSWORD).await;
    let own = hub.get("users/me").await.ok();
    for member in ["username", "full_name", "email", "country"] {
        assert_eq!(own[member], administrator[member], "{own}");
    }
    assert_eq!(own["role"], "admin");
    assert_eq!(own["is_operator"], false);
}

async fn another_tenants_things_are_not_there(database: Database) {
    let mut hub = Hub::start(database).await;
    hub.tenant("other").await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode() { return { n: 1 } }")
        .await;
    let driver = json!({"driver": "a/b:1"});
    hub.device("d", &connection, "AA00000000000001", driver)
        .await;
    let table = json!({"name": "t", "selector": ""});
    let table_id = hub.post("data-tables", &table).await.created()["id"].clone();
    let integration = hub.integration("i", "", "https://example.com/").await;
    let paths = [
        format!("network-connections/{}", connection.id),
        "drivers/a/b".to_owned(),
        "devices/d".to_owned(),
        format!("data-tables/{table_id}"),
        format!("integrations/{integration}"),
    ];

    let first = std::mem::take(&mut hub.token);
    hub.token = hub.log_in("other", PASSWORD).await;
    for path in &paths {
        hub.get(path).await.refused(404);
        hub.delete(path).await.refused(404);
    }
    for (path, body) in [
        (
            &paths[0],
            json!({"name": "x", "settings": {"type": "the_things_stack"}}),
        ),
        (&paths[1], json!({})),
        (&paths[2], json!({})),
        (&paths[3], table.clone()),
        (
            &paths[4],
            json!({"name": "i", "selector": "", "target": {"type": "http", "url": "https://example.com/"}}),
        ),
    ] {
        hub.put(path, &body).await.refused(404);
    }
    for part in [
        format!("{}/events", paths[0]),
        "drivers/a/b/tags/1".to_owned(),
        "devices/d/uplinks".to_owned(),
        "devices/d/events".to_owned(),
        format!("{}/rows", paths[3]),
        format!("{}/rows.csv", paths[3]),
        format!("{}/rows.ndjson", paths[3]),
        format!("{}/rows.parquet", paths[3]),
        format!("{}/deliveries", paths[4]),
    ] {
        hub.get(&part).await.refused(404);
    }
    let key = format!("{}/ingest-key", paths[0]);
    hub.post(&key, &json!({})).await.refused(404);
    for list in [
        "network-connections",
        "drivers",
        "devices",
        "data-tables",
        "integrations",
    ] {
        let mut found = hub.list(list).await;
        // Built-in drivers belong to every tenant.
        found.retain(|item| item["built_in"] != true);
        assert!(found.is_empty(), "{list}");
    }

    // Names and ids are each tenant's own; references do not cross.
    hub.post("data-tables", &table).await.created();
    hub.post("devices", &json!({"id": "d"})).await.created();
    let foreign = json!({"id": "e", "connectivity": {"connections": [
        {"network_connection_id": connection.id, "network_device_id": "AA00000000000002"}]}});
    hub.post("devices", &foreign).await.refused(400);
    hub.post("devices", &json!({"id": "e", "driver": "a/b:1"}))
        .await
        .refused(400);

    hub.token = first;
    for path in &paths {
        hub.get(path).await.ok();
    }
    hub.uplink(&connection, "AA00000000000001").await;
    let rows = hub.list(&format!("{}/rows", paths[3])).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["device_id"], "d");
    hub.token = hub.log_in("other", PASSWORD).await;
    let others = hub.list("data-tables").await;
    assert_eq!(others.len(), 1, "{others:?}");
    let rows = hub
        .list(&format!("data-tables/{}/rows", others[0]["id"]))
        .await;
    assert_eq!(rows, Vec::<Value>::new(), "the device of another tenant");
}
