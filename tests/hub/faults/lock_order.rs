//! Uplinks beside changes and deletions of the same devices on PostgreSQL: rows are locked in one order, so
//! that no two transactions wait for each other in a circle.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    eventually, sample_json,
    support::{
        database::{Database, on_postgres, query_text},
        server::{Connection, Hub, things_stack},
    },
};

const DEVICES: usize = 60;
/// Time for which everything goes on at once.
const TIME: Duration = Duration::from_secs(6);

fn eui(number: usize) -> String {
    format!("AA{number:014}")
}

async fn make(hub: &Hub, connection: &Connection, number: usize) {
    let body = json!({"id": format!("d{number}"), "labels": [format!("part={}", number % 3)],
        "connectivity": {"connections": [
            {"network_connection_id": connection.id, "network_device_id": eui(number)}]}});
    hub.post("devices", &body).await.created();
}

fn join_of(number: usize) -> String {
    let mut message = sample_json("ttn_v3_join.json");
    message["end_device_ids"]["dev_eui"] = eui(number).into();
    message.to_string()
}

async fn deadlocks(hub: &Hub) -> String {
    let query = "SELECT deadlocks::text FROM pg_stat_database WHERE datname = current_database()";
    query_text(&hub.database_url(), query).await
}

/// Posts uplinks and joins of all devices at once, in an order of its own, until the time is over.
async fn ingest(hub: &Hub, connection: &Connection, stride: usize, until: Instant) {
    while Instant::now() < until {
        let numbers = (0..DEVICES).map(|index| (index * stride) % DEVICES);
        let posts = numbers.map(|number| async move {
            let body = match number % 5 {
                0 => join_of(number),
                _ => things_stack(&eui(number)),
            };
            hub.ingest(connection, body).await
        });
        for answer in join_all(posts).await {
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
    }
}

async fn change_labels(hub: &Hub, selector: &str, until: Instant) {
    while Instant::now() < until {
        for kind in ["add_labels", "remove_labels"] {
            let action = json!({"type": kind, "labels": ["moved"]});
            let change = json!({"selector": selector, "action": action, "dry_run": false});
            hub.post("devices/bulk", &change).await.ok();
        }
    }
}

async fn delete_and_make(hub: &Hub, connection: &Connection, until: Instant) {
    while Instant::now() < until {
        let action = json!({"type": "delete"});
        let change = json!({"selector": "part=0", "action": action, "dry_run": false});
        let deleted = hub.post("devices/bulk", &change).await.ok();
        assert!(deleted["changed"].as_u64() > Some(0), "{deleted}");
        for number in [1, 2] {
            hub.delete(&format!("devices/d{number}")).await.ok();
            make(hub, connection, number).await;
        }
        let again = (0..DEVICES).filter(|number| number % 3 == 0);
        join_all(again.map(|number| make(hub, connection, number))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uplinks_go_on_beside_deletions_and_bulk_changes() {
    on_postgres(async |database: Database| {
        let hub = Hub::start(database.clone()).await;
        let two = Hub::start(database).await;
        let connection = hub.connect("tts").await;
        for number in 0..DEVICES {
            make(&hub, &connection, number).await;
        }
        let table = json!({"name": "t", "selector": ""});
        hub.post("data-tables", &table).await.created();
        let until = Instant::now() + TIME;
        tokio::join!(
            ingest(&hub, &connection, 1, until),
            ingest(&two, &connection, 7, until),
            change_labels(&hub, "part=1", until),
            change_labels(&two, "part=1 or part=2", until),
            delete_and_make(&hub, &connection, until),
        );
        let uplinks: Vec<Value> = hub.list("devices/d4/uplinks?limit=1000").await;
        assert!(!uplinks.is_empty());
        eventually("the figures are in", async || {
            let query = "SELECT (xact_commit > 100)::text FROM pg_stat_database \
                         WHERE datname = current_database()";
            (query_text(&hub.database_url(), query).await == "true").then_some(())
        })
        .await;
        assert_eq!(deadlocks(&hub).await, "0");
    })
    .await;
}
