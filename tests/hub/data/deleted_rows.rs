//! Rows that clients delete: of a period, of a device, and many at once.

use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        rows::{count, fill},
        server::{Connection, Hub, PASSWORD, things_stack},
    },
};

on_both_databases!(
    rows_of_a_period_or_a_device_are_deleted,
    a_deletion_of_rows_must_say_which,
    many_rows_are_deleted_while_uplinks_are_taken,
    rows_outlive_their_uplink_and_device,
);

const EUI: &str = "AA00000000000001";
const COLUMNS: &str = "tenant_id, id, data_table_id, device_id, ts, data";

async fn table(hub: &Hub, name: &str) -> Value {
    let table = json!({"name": name, "selector": ""});
    hub.post("data-tables", &table).await.created()["id"].clone()
}

/// Adds the rows of a device, one for each of the first days of a month.
async fn add(hub: &Hub, table: &Value, device: &str) {
    for day in 1..=4 {
        let at = format!("'2026-02-0{day}T12:00:00+00:00'");
        let values = format!("1, ID, {table}, '{device}', {at}, '{{}}'");
        fill(hub, 1, "data_table_rows", COLUMNS, &values).await;
    }
}

/// Devices and days of the rows that are left.
async fn left(hub: &Hub, table: &Value) -> Vec<String> {
    let rows = hub.list(&format!("data-tables/{table}/rows")).await;
    let mut left: Vec<String> = rows
        .iter()
        .map(|row| {
            let (device, time) = (&row["device_id"], row["time"].as_str().unwrap());
            format!("{}{}", device.as_str().unwrap(), &time[9..10])
        })
        .collect();
    left.sort();
    left
}

async fn rows_of_a_period_or_a_device_are_deleted(database: Database) {
    let hub = Hub::start(database).await;
    let (one, other) = (table(&hub, "one").await, table(&hub, "other").await);
    for table in [&one, &other] {
        add(&hub, table, "a").await;
        add(&hub, table, "b").await;
    }
    let path = format!("data-tables/{one}/rows");
    let delete = async |query: &str| {
        let answer = hub.delete(&format!("{path}?{query}")).await.ok();
        assert_eq!(answer["is_complete"], true, "{answer}");
        answer["deleted"].as_u64().unwrap()
    };
    // The end of a period is not part of it.
    let span = "from=2026-02-02T12:00:00Z&to=2026-02-03T12:00:00Z";
    assert_eq!(delete(span).await, 2);
    assert_eq!(left(&hub, &one).await, ["a1", "a3", "a4", "b1", "b3", "b4"]);
    let entry = hub.list("audit-log").await.remove(0);
    assert_eq!(entry["action"], "delete_rows");
    assert_eq!(entry["resource_id"], one.to_string());
    let noted =
        json!({"device_id": null, "from": "2026-02-02T12:00:00Z", "to": "2026-02-03T12:00:00Z"});
    assert_eq!(entry["after"]["deleted_rows"], noted);
    assert_eq!(delete(span).await, 0, "nothing is left");
    let last = hub.list("audit-log").await.remove(0);
    assert_eq!(last["id"], entry["id"], "nothing was changed");

    assert_eq!(delete("device_id=a&to=2026-02-02T00:00:00Z").await, 1);
    assert_eq!(left(&hub, &one).await, ["a3", "a4", "b1", "b3", "b4"]);
    let entry = hub.list("audit-log").await.remove(0);
    assert_eq!(entry["after"]["deleted_rows"]["device_id"], "a", "{entry}");
    assert_eq!(delete("device_id=b&to=2100-01-01T00:00:00Z").await, 3);
    assert_eq!(left(&hub, &one).await, ["a3", "a4"]);
    assert_eq!(
        delete("from=2026-02-04T00:00:00Z&to=2100-01-01T00:00:00Z").await,
        1
    );
    assert_eq!(left(&hub, &one).await, ["a3"]);
    assert_eq!(left(&hub, &other).await.len(), 8, "of the other table");
}

async fn a_deletion_of_rows_must_say_which(database: Database) {
    let mut hub = Hub::start(database).await;
    let table = table(&hub, "t").await;
    add(&hub, &table, "a").await;
    let path = format!("data-tables/{table}/rows");
    for (query, start) in [
        ("", "to: is required"),
        ("device_id=a", "to: is required"),
        ("from=2026-02-02T00:00:00Z", "to: is required"),
        (
            "from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z",
            "to: must not be before",
        ),
        ("to=tomorrow", "to: must be a time"),
        ("to=2026-02-02T00:00:00Z&device_id=-", "device_id: "),
        (
            "to=2026-02-02T00:00:00Z&device=a",
            "query parameter \"device\"",
        ),
    ] {
        let error = hub.delete(&format!("{path}?{query}")).await.refused(400);
        assert!(error.starts_with(start), "{query}: {error}");
    }
    let unknown = "data-tables/9999/rows?to=2026-02-02T00:00:00Z";
    hub.delete(unknown).await.refused(404);
    hub.tenant("other").await;
    hub.user("viewer", "viewer").await;
    let admin = hub.token.clone();
    hub.token = hub.log_in("other", PASSWORD).await;
    hub.delete(&format!("{path}?to=2026-02-02T00:00:00Z"))
        .await
        .refused(404);
    hub.token = hub.log_in("viewer", PASSWORD).await;
    hub.delete(&format!("{path}?to=2026-02-02T00:00:00Z"))
        .await
        .refused(403);
    hub.token = admin;
    assert_eq!(left(&hub, &table).await.len(), 4);
}

async fn many_rows_are_deleted_while_uplinks_are_taken(database: Database) {
    const MANY: u32 = 20_000;
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let table = table(&hub, "t").await;
    let values = format!("1, ID, {table}, 'd', '2026-02-01T12:00:00+00:00', '{{}}'");
    fill(&hub, MANY, "data_table_rows", COLUMNS, &values).await;
    let path = format!("data-tables/{table}/rows?to=2026-02-02T00:00:00Z");
    let deleting = async {
        let (mut deleted, mut requests) = (0, 0);
        loop {
            let answer = hub.delete(&path).await.ok();
            let now = answer["deleted"].as_u64().unwrap();
            deleted += now;
            requests += usize::from(now > 0);
            if answer["is_complete"] == true {
                return (deleted, requests);
            }
        }
    };
    let sending = send(&hub, &connection);
    let ((deleted, requests), ()) = tokio::join!(deleting, sending);
    assert_eq!(deleted, u64::from(MANY));
    let entries = hub.list("audit-log?action=delete_rows").await;
    assert_eq!(entries.len(), requests, "one for each request");
    assert!(left(&hub, &table).await.is_empty());
}

async fn send(hub: &Hub, connection: &Connection) {
    for _ in 0..10 {
        hub.ingest(connection, things_stack(EUI)).await.ok();
    }
}

async fn rows_outlive_their_uplink_and_device(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode(p) { return { n: p[0] } }")
        .await;
    for (id, eui) in [("d", EUI), ("stays", "AA00000000000002")] {
        let driver = json!({"driver": "a/b:1"});
        hub.device(id, &connection, eui, driver).await;
    }
    let table = table(&hub, "t").await;
    for eui in [EUI, EUI, "AA00000000000002"] {
        hub.uplink(&connection, eui).await;
    }
    let path = format!("data-tables/{table}/rows");
    let rows = hub.list(&path).await;
    assert_eq!(rows.len(), 3);
    hub.delete("devices/d").await.ok();
    eventually("its uplinks are gone", async || {
        (count(&hub, "uplinks").await == 1).then_some(())
    })
    .await;
    hub.sql("DELETE FROM uplinks").await;
    assert_eq!(hub.list(&path).await, rows);
    // Another device of the same name is another device, whose rows come beside them.
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    hub.uplink(&connection, EUI).await;
    let now = hub.list(&path).await;
    assert_eq!(now[..3], rows[..]);
    assert_eq!(now.len(), 4);
}
