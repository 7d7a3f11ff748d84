//! The retention of data tables and tenants is a property like others.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, PASSWORD},
};

on_both_databases!(
    a_data_table_says_for_how_long_it_keeps_rows,
    a_tenant_says_for_how_long_it_keeps_uplinks,
);

/// The last entry of the audit log: the state before and after.
async fn noted(hub: &Hub) -> (Value, Value) {
    let entry = hub.list("audit-log").await.remove(0);
    (
        entry["before"]["retention_days"].clone(),
        entry["after"]["retention_days"].clone(),
    )
}

async fn a_data_table_says_for_how_long_it_keeps_rows(database: Database) {
    let hub = Hub::start(database).await;
    let kept = json!({"name": "t", "selector": ""});
    let table = hub.post("data-tables", &kept).await.created();
    assert_eq!(table["retention_days"], Value::Null);
    let path = format!("data-tables/{}", table["id"]);
    for days in [1, 36_500] {
        let body = json!({"name": "t", "selector": "", "retention_days": days});
        assert_eq!(hub.put(&path, &body).await.ok()["retention_days"], days);
        assert_eq!(hub.get(&path).await.ok()["retention_days"], days);
        assert_eq!(noted(&hub).await.1, days);
    }
    let body = json!({"name": "t", "selector": "", "retention_days": 0});
    let error = hub.put(&path, &body).await.refused(400);
    assert_eq!(error, "retention_days: must be an integer from 1 to 36500");
    hub.put(&path, &kept).await.ok();
    assert_eq!(hub.get(&path).await.ok()["retention_days"], Value::Null);
    assert_eq!(noted(&hub).await, (json!(36_500), Value::Null));
}

async fn a_tenant_says_for_how_long_it_keeps_uplinks(database: Database) {
    let hub = Hub::start(database).await;
    let administrator = json!({"username": "somebody", "password": PASSWORD});
    let mut body = json!({"name": "x", "administrator": administrator, "retention_days": 36_501});
    let error = hub.post("tenants", &body).await.refused(400);
    assert_eq!(error, "retention_days: must be an integer from 1 to 36500");
    body["retention_days"] = json!(7);
    let tenant = hub.post("tenants", &body).await.created();
    assert_eq!(tenant["retention_days"], 7);
    let path = format!("tenants/{}", tenant["id"]);
    let longer = json!({"name": "x", "retention_days": 8});
    assert_eq!(hub.put(&path, &longer).await.ok()["retention_days"], 8);
    assert_eq!(noted(&hub).await, (json!(7), json!(8)));
    let wrong = json!({"name": "x", "retention_days": -1});
    let error = hub.put(&path, &wrong).await.refused(400);
    assert_eq!(error, "retention_days: must be an integer from 1 to 36500");
    hub.put(&path, &json!({"name": "x"})).await.ok();
    let tenant = hub.get(&path).await.ok();
    assert_eq!(tenant["retention_days"], Value::Null);
}
