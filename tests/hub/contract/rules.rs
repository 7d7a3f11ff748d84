//! Rules of the resources: pages, labels, what may be deleted, names.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::Hub,
    sink::Sink,
};

on_both_databases!(
    pages_are_followed_to_the_end,
    labels_decide_at_once,
    what_is_in_use_is_not_deleted,
    names_are_unique,
    an_update_replaces_everything,
    repeated_items_count_once,
);

async fn repeated_items_count_once(database: Database) {
    let hub = Hub::start(database).await;
    let body = json!({"id": "d", "labels": ["b", "a", "b", "a"]});
    let device = hub.post("devices", &body).await.created();
    assert_eq!(device["labels"].as_array().map(Vec::len), Some(2));
    let supported = json!({"manufacturer": "m", "model": "x", "firmware_version": "1"});
    let driver = json!({"author": "a", "name": "b", "tags": ["1", "1"],
        "script": "function decode() { return {} }", "supports": [supported, supported]});
    let driver = hub.post("drivers", &driver).await.created();
    assert_eq!(driver["supports"], json!([supported]));
}

async fn pages_are_followed_to_the_end(database: Database) {
    let hub = Hub::start(database).await;
    for number in 0..7 {
        hub.post("devices", &json!({"id": format!("d{number}")}))
            .await
            .created();
        hub.post(
            "data-tables",
            &json!({"name": format!("t{number}"), "selector": ""}),
        )
        .await
        .created();
    }
    let mut seen = Vec::new();
    let mut cursors = Vec::new();
    let mut path = "/api/v3/devices?limit=3".to_owned();
    loop {
        let answer = hub.get(&path).await;
        let link = answer
            .headers
            .get("link")
            .map(|link| link.to_str().unwrap().to_owned());
        let page = answer.ok();
        seen.extend(
            page["collection"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].clone()),
        );
        let Some(link) = link else {
            assert_eq!(page["next_cursor"], Value::Null);
            break;
        };
        let cursor = page["next_cursor"].as_str().unwrap().to_owned();
        path = link
            .strip_prefix('<')
            .unwrap()
            .split('>')
            .next()
            .unwrap()
            .to_owned();
        assert!(link.ends_with(">; rel=\"next\""), "{link}");
        assert!(path.contains("limit=3") && path.contains(&cursor), "{link}");
        cursors.push(cursor);
    }
    assert_eq!(seen, ["d0", "d1", "d2", "d3", "d4", "d5", "d6"]);
    assert_eq!(cursors.len(), 2);

    let foreign = hub.get("data-tables?limit=3").await.ok()["next_cursor"].clone();
    let foreign = foreign.as_str().unwrap();
    for cursor in [foreign, "nonsense", "e30", "%00"] {
        let error = hub
            .get(&format!("devices?cursor={cursor}"))
            .await
            .refused(400);
        assert!(error.starts_with("cursor: "), "{error}");
    }
    for limit in [
        "0",
        "1001",
        "-1",
        "x",
        "1.5",
        "%2B3",
        "99999999999999999999",
        "",
    ] {
        let error = hub
            .get(&format!("devices?limit={limit}"))
            .await
            .refused(400);
        assert!(error.starts_with("limit: "), "{limit}: {error}");
    }
    hub.get("devices?limit=3&limit=4").await.refused(400);
}

async fn labels_decide_at_once(database: Database) {
    let hub = Hub::start_with(database, &["--outgoing-allow", "127.0.0.0/8"]).await;
    let sink = Sink::willing().await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode(p) { return { n: p[0] } }")
        .await;
    let device = hub
        .device(
            "d",
            &connection,
            "AA00000000000001",
            json!({"driver": "a/b:1", "labels": ["retired"]}),
        )
        .await;
    let table = json!({"name": "t", "selector": "site=berlin, !retired"});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    let rows = format!("data-tables/{table}/rows");
    hub.integration("i", "site=berlin, !retired", &sink.url)
        .await;
    let label = async |labels: Value| {
        let body =
            json!({"driver": "a/b:1", "labels": labels, "connectivity": device["connectivity"]});
        hub.put("devices/d", &body).await.ok();
        hub.uplink(&connection, "AA00000000000001").await
    };
    label(json!(["site=munich"])).await;
    assert_eq!(hub.list(&rows).await.len(), 0);
    let second = label(json!(["site=berlin"])).await;
    assert_eq!(hub.list(&rows).await.len(), 1);
    label(json!(["site=berlin", "retired"])).await;
    assert_eq!(hub.list(&rows).await.len(), 1);

    // A changed selector holds from the next uplink on, too.
    let changed = json!({"name": "t", "selector": "retired"});
    hub.put(&format!("data-tables/{table}"), &changed)
        .await
        .ok();
    hub.uplink(&connection, "AA00000000000001").await;
    assert_eq!(hub.list(&rows).await.len(), 2);
    let delivered = sink.gets(1).await;
    let deliveries = hub.get("integrations").await.ok()["collection"][0]["id"].clone();
    let deliveries = hub
        .list(&format!("integrations/{deliveries}/deliveries"))
        .await;
    assert_eq!((delivered.len(), deliveries.len()), (1, 1));
    assert_eq!(deliveries[0]["uplink_id"], second);
}

async fn what_is_in_use_is_not_deleted(database: Database) {
    let hub = Hub::start_with(database, &["--outgoing-allow", "127.0.0.0/8"]).await;
    let sink = Sink::willing().await;
    let connection = hub.connect("tts").await;
    let path = format!("network-connections/{}", connection.id);
    hub.push("a/b", "1", "function decode(p) { return { n: p[0] } }")
        .await;
    hub.device(
        "d",
        &connection,
        "AA00000000000001",
        json!({"driver": "a/b:1"}),
    )
    .await;
    let table = hub
        .post("data-tables", &json!({"name": "t", "selector": ""}))
        .await
        .created();
    let table = format!("data-tables/{}", table["id"]);
    let integration = hub.integration("i", "", &sink.url).await;
    let integration = format!("integrations/{integration}");
    hub.uplink(&connection, "AA00000000000001").await;
    sink.gets(1).await;

    let error = hub.delete(&path).await.refused(400);
    assert!(error.contains("device"), "{error}");
    assert_eq!(hub.delete("devices/d").await.ok()["id"], "d");
    for gone in ["devices/d", "devices/d/uplinks", "devices/d/events"] {
        hub.get(gone).await.refused(404);
    }
    hub.delete("devices/d").await.refused(404);
    let receipt = hub
        .ingest(
            &connection,
            crate::support::server::things_stack("AA00000000000001"),
        )
        .await
        .ok();
    assert_eq!(receipt["status"], "unknown_device");
    // Data that a device has sent stay in the tables.
    let rows = hub.list(&format!("{table}/rows")).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["device_id"], "d");

    for resource in [&path, &integration, &table] {
        hub.delete(resource).await.ok();
        hub.get(resource).await.refused(404);
        hub.delete(resource).await.refused(404);
    }
    hub.get(&format!("{integration}/deliveries"))
        .await
        .refused(404);
    hub.get(&format!("{table}/rows")).await.refused(404);
    hub.ingest(
        &connection,
        crate::support::server::things_stack("AA00000000000001"),
    )
    .await
    .refused(401);
}

async fn names_are_unique(database: Database) {
    let hub = Hub::start(database).await;
    hub.connect("tts").await;
    let table = json!({"name": "t", "selector": ""});
    hub.post("data-tables", &table).await.created();
    let integration = json!({"name": "i", "selector": "", "target": {"type": "http", "url": "https://example.com/"}});
    hub.post("integrations", &integration).await.created();
    let connection = json!({"name": "tts", "settings": {"type": "the_things_stack"}});
    for (path, body) in [
        ("data-tables", table),
        ("integrations", integration),
        ("network-connections", connection),
    ] {
        let error = hub.post(path, &body).await.refused(400);
        assert!(error.contains("name"), "{body}: {error}");
    }
}

async fn an_update_replaces_everything(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let more =
        json!({"name": "n", "description": "x", "labels": ["a"], "metadata": {"a": [1, null]}});
    let made = hub.device("d", &connection, "AA00000000000001", more).await;
    assert_eq!(hub.get("devices/d").await.ok(), made);
    let updated = hub.put("devices/d", &json!({})).await.ok();
    assert_eq!(updated["name"], "");
    assert_eq!(
        (&updated["labels"], &updated["metadata"]),
        (&json!([]), &json!({}))
    );
    assert_eq!(updated["connectivity"]["connections"], json!([]));
    assert_eq!(updated["created_at"], made["created_at"]);
    assert!(updated["updated_at"].as_str() > made["updated_at"].as_str());
    let receipt = hub
        .ingest(
            &connection,
            crate::support::server::things_stack("AA00000000000001"),
        )
        .await
        .ok();
    assert_eq!(receipt["status"], "unknown_device");
    hub.put("devices/no-such", &json!({})).await.refused(404);
}
