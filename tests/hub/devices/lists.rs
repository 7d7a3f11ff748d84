//! Lists of devices: filters, orders, and pages that neither lose nor repeat.

use serde_json::{Value, json};

use crate::{
    contract::collections::each_holds,
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(
    filters_pick,
    names_and_ids_are_in_their_order,
    selectors_mean_the_same_everywhere,
    every_order_pages_through_everything_once,
    pages_are_stable_while_the_list_changes,
    cursors_of_other_lists_are_refused,
);

async fn ids(hub: &Hub, query: &str) -> Vec<String> {
    let encoded = query
        .replace('%', "%25")
        .replace(' ', "%20")
        .replace('"', "%22");
    let found = hub.list(&format!("devices?{encoded}")).await;
    let id = |device: &Value| device["id"].as_str().unwrap().to_owned();
    found.iter().map(id).collect()
}

async fn three(hub: &Hub) -> i64 {
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode() { return {} }")
        .await;
    hub.push("a/b", "2", "function decode() { return {} }")
        .await;
    let more =
        json!({"name": "Zoo 100%", "driver": "a/b:1", "labels": ["site=berlin", "type=ers"]});
    hub.device("x1", &connection, "AA00000000000001", more)
        .await;
    let more = json!({"name": "attic", "driver": "a/b:2", "labels": ["site=bonn", "retired"]});
    hub.post("devices", &merged(json!({"id": "x2"}), more))
        .await
        .created();
    let more = json!({"id": "X3", "description": "A Zoo_ too, ÜBER all", "labels": ["Retired", "type=ems"]});
    hub.post("devices", &more).await.created();
    hub.uplink(&connection, "AA00000000000001").await;
    connection.id
}

fn merged(mut one: Value, other: Value) -> Value {
    for (name, value) in other.as_object().unwrap() {
        one[name] = value.clone();
    }
    one
}

async fn filters_pick(database: Database) {
    let hub = Hub::start(database).await;
    let connection = three(&hub).await;
    for (query, expected) in [
        (format!("network_connection_id={connection}"), &["x1"][..]),
        ("network_connection_id=999999".to_owned(), &[]),
        ("driver=a/b".to_owned(), &["x1", "x2"]),
        ("driver=a/b:2".to_owned(), &["x2"]),
        ("driver=a/bb".to_owned(), &[]),
        ("silent_for_s=60".to_owned(), &["x2", "X3"]),
        ("q=zoo".to_owned(), &["x1", "X3"]),
        ("q=X3".to_owned(), &["X3"]),
        ("q=0%".to_owned(), &["x1"]),
        ("q=o_".to_owned(), &["X3"]),
        // Both as it is written and in small letters, of which SQLite knows only those of ASCII.
        ("q=ÜBER".to_owned(), &["X3"]),
        ("q=zoo&driver=a/b".to_owned(), &["x1"]),
        ("sort=-created_at".to_owned(), &["X3", "x2", "x1"]),
        ("sort=-last_seen&q=zoo".to_owned(), &["x1", "X3"]),
    ] {
        assert_eq!(ids(&hub, &query).await, expected, "{query}");
    }
    for (query, field) in [
        ("selector=a=(", "selector: at column"),
        ("silent_for_s=0", "silent_for_s: "),
        ("sort=size", "sort: "),
        ("q=", "q: "),
        ("driver=x", "driver: "),
    ] {
        let error = hub.get(&format!("devices?{query}")).await.refused(400);
        assert!(error.starts_with(field), "{query}: {error}");
    }
}

async fn names_and_ids_are_in_their_order(database: Database) {
    let hub = Hub::start(database).await;
    // In letters that all databases sort alike, and none in the order in which they are made.
    for (id, name) in [
        ("c", "beta"),
        ("a", "gamma"),
        ("b", "alpha"),
        ("d", "delta"),
    ] {
        let device = json!({"id": id, "name": name});
        hub.post("devices", &device).await.created();
    }
    let cases: [(&str, &[&str]); 4] = [
        ("sort=id", &["a", "b", "c", "d"]),
        ("sort=-id", &["d", "c", "b", "a"]),
        ("sort=name", &["b", "c", "d", "a"]),
        ("sort=-name", &["a", "d", "c", "b"]),
    ];
    each_holds(&hub, "devices", "id", &cases).await;
}

/// A selector picks the same devices by SQL in the list and in memory on the uplink path: a data table keeps the rows
/// of the listed devices.
async fn selectors_mean_the_same_everywhere(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode() { return {v: 1} }")
        .await;
    let labels = [
        json!([]),
        json!(["site=berlin"]),
        json!(["site=bonn", "retired"]),
        json!(["Site=berlin", "site"]),
        json!(["site==x", "type=ers"]),
        json!(["site b", "retired=2020", "type=ems"]),
    ];
    for (number, labels) in labels.iter().enumerate() {
        let more = json!({"labels": labels, "driver": "a/b:1"});
        hub.device(
            &format!("d{number}"),
            &connection,
            &format!("AA0000000000000{number}"),
            more,
        )
        .await;
    }
    let selectors = [
        "",
        "site",
        "!site",
        "site=berlin",
        "site!=berlin",
        "retired",
        "not retired",
        "type in (ers, ems)",
        "type not in (ers)",
        "site=berlin or retired",
        "!(site=berlin or retired)",
        "\"site b\"",
        "\"site=berlin\"",
        "site=\"=x\"",
        "(site or type), !retired",
    ];
    let mut tables = Vec::new();
    for (number, selector) in selectors.iter().enumerate() {
        let table = json!({"name": format!("t{number}"), "selector": selector});
        tables.push(hub.post("data-tables", &table).await.created()["id"].clone());
    }
    for number in 0..labels.len() {
        hub.uplink(&connection, &format!("AA0000000000000{number}"))
            .await;
    }
    for (selector, table) in selectors.iter().zip(tables) {
        let rows = hub.list(&format!("data-tables/{table}/rows")).await;
        let kept: Vec<&str> = rows
            .iter()
            .map(|row| row["device_id"].as_str().unwrap())
            .collect();
        let mut listed = ids(&hub, &format!("selector={selector}")).await;
        listed.sort();
        let mut kept: Vec<String> = kept.into_iter().map(ToOwned::to_owned).collect();
        kept.sort();
        assert_eq!(listed, kept, "{selector}");
    }
}

async fn every_order_pages_through_everything_once(database: Database) {
    let hub = Hub::start(database).await;
    three(&hub).await;
    for number in 0..4 {
        hub.post("devices", &json!({"id": format!("e{number}")}))
            .await
            .created();
    }
    for sort in ["created_at", "id", "name", "last_seen"] {
        let up = pages(&hub, sort).await;
        let mut down = pages(&hub, &format!("-{sort}")).await;
        assert_eq!(up.len(), 7, "{sort}: {up:?}");
        down.reverse();
        assert_eq!(up, down, "{sort}");
    }
}

async fn pages(hub: &Hub, sort: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = hub
            .get(&format!("devices?sort={sort}&limit=2{cursor}"))
            .await
            .ok();
        let items = page["collection"].as_array().unwrap();
        found.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

async fn pages_are_stable_while_the_list_changes(database: Database) {
    let hub = Hub::start(database).await;
    for number in 0..6 {
        hub.post("devices", &json!({"id": format!("d{number}")}))
            .await
            .created();
    }
    let page = hub.get("devices?limit=3").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    hub.delete("devices/d0").await.ok();
    hub.delete("devices/d2").await.ok();
    hub.delete("devices/d4").await.ok();
    hub.post("devices", &json!({"id": "late"})).await.created();
    let rest = ids(&hub, &format!("limit=3&cursor={cursor}")).await;
    assert_eq!(rest, ["d3", "d5", "late"]);
}

async fn cursors_of_other_lists_are_refused(database: Database) {
    let hub = Hub::start(database).await;
    for number in 0..3 {
        hub.post("devices", &json!({"id": format!("d{number}")}))
            .await
            .created();
    }
    let page = hub.get("devices?limit=1&sort=id").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    for path in [
        "devices?limit=1",
        "devices?limit=1&sort=last_seen",
        "drivers?limit=1",
    ] {
        let error = hub
            .get(&format!("{path}&cursor={cursor}"))
            .await
            .refused(400);
        assert!(error.starts_with("cursor: "), "{path}: {error}");
    }
    let mut tampered = cursor.to_owned();
    tampered.replace_range(4..6, "AA");
    let error = hub
        .get(&format!("devices?sort=id&cursor={tampered}"))
        .await
        .refused(400);
    assert!(error.starts_with("cursor: "), "{error}");
}
