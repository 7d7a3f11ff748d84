//! The whole story: from a network server's message to rows and to everyone who wants the data.

use serde_json::{Value, json};

use crate::{
    repository, sample, sample_json,
    support::{
        database::{Database, on_both_databases},
        server::{Connection, Hub},
        sink::Sink,
    },
};

on_both_databases!(
    an_uplink_becomes_state_rows_and_a_delivery,
    what_is_no_uplink_of_a_known_device_is_told,
    any_json_is_read_by_pointers,
    a_switched_off_connection_takes_nothing,
    ingest_keys_let_in_and_nobody_else,
);

const EUI: &str = "1000000000000001";

async fn am102(hub: &Hub, connection: &Connection) {
    let script = std::fs::read_to_string(repository("examples/am102.js")).unwrap();
    hub.push("milesight/am102", "1", &script).await;
    let more =
        json!({"name": "Meeting room", "driver": "milesight/am102:1", "labels": ["site=berlin"]});
    hub.device("am102-1", connection, EUI, more).await;
}

fn assert_am102(data: &Value) {
    assert_eq!(data["battery"], 100, "{data}");
    assert_eq!(data["temperature"], 28, "{data}");
    assert_eq!(data["humidity"], 54.5, "{data}");
}

async fn an_uplink_becomes_state_rows_and_a_delivery(database: Database) {
    let hub = Hub::start_with(database, &["--outgoing-allow", "127.0.0.0/8"]).await;
    let sink = Sink::willing().await;
    let connection = hub.connect("tts").await;
    am102(&hub, &connection).await;
    let table = json!({"name": "climate", "selector": "site=berlin", "columns": [
        {"path": "temperature", "type": "number", "unit": "°C"},
        {"path": "humidity", "type": "number"},
    ]});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    let integration = json!({"name": "erp", "selector": "site=berlin",
        "target": {"type": "http", "url": sink.url, "authorization": "Bearer s3cr3t"}});
    let integration = hub.post("integrations", &integration).await.created();
    assert_eq!(integration["target"]["has_authorization"], true);
    assert!(!integration.to_string().contains("s3cr3t"), "{integration}");

    let receipt = hub
        .ingest(&connection, sample("ttn_v3_milesight_am102.json"))
        .await
        .ok();
    assert_eq!(receipt["status"], "recorded");
    assert_eq!(receipt["device_id"], "am102-1");

    let uplinks = hub.list("devices/am102-1/uplinks").await;
    assert_eq!(uplinks.len(), 1);
    assert_eq!(uplinks[0]["id"], receipt["uplink_id"]);
    assert_eq!(uplinks[0]["network_connection_id"], connection.id);
    assert_eq!(uplinks[0]["raw"], "0175640367180104686d");
    assert_eq!(uplinks[0]["raw_base64"], "AXVkA2cYAQRobQ==");
    assert_eq!(
        (&uplinks[0]["f_port"], &uplinks[0]["f_cnt"]),
        (&json!(85), &json!(10335))
    );
    assert_eq!(uplinks[0]["error"], Value::Null);
    assert_am102(&uplinks[0]["data"]);

    let device = hub.get("devices/am102-1").await.ok();
    assert_am102(&device["state"]["reported"]);
    assert_eq!(device["last_data_received"]["raw"], "0175640367180104686d");
    assert!(device["last_data_received"]["received_at"].is_string());

    let rows = hub.list(&format!("data-tables/{table}/rows")).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["device_id"], "am102-1");
    assert_eq!(
        rows[0]["data"],
        json!({"temperature": 28, "humidity": 54.5})
    );
    let csv = hub.get(&format!("data-tables/{table}/rows.csv")).await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = csv.text.lines().collect();
    assert_eq!(lines[0], "time,device_id,temperature,humidity");
    assert!(lines[1].starts_with("2023-05-19T05:33:35."), "{lines:?}");
    assert!(lines[1].ends_with(",am102-1,28,54.5"), "{lines:?}");

    let delivered = sink.gets(1).await.remove(0);
    let delivery = delivered.header("webhook-id").to_owned();
    assert_eq!(delivered.header("authorization"), "Bearer s3cr3t");
    assert_eq!(delivered.header("content-type"), "application/json");
    assert_native(&delivered.body);
    let path = format!("integrations/{}/deliveries", integration["id"]);
    let listed = crate::eventually("the delivery counts as done", async || {
        let found = hub.list(&path).await;
        (found[0]["state"] == "delivered").then(|| found[0].clone())
    });
    let listed = listed.await;
    assert_eq!(listed["id"], delivery);
    assert_eq!(listed["uplink_id"], receipt["uplink_id"]);
    assert_eq!(listed["last_status"], 200);

    let connection = hub
        .get(&format!("network-connections/{}", connection.id))
        .await
        .ok();
    let health = &connection["health"];
    assert_eq!(
        (&health["uplinks"], &health["malformed"]),
        (&json!(1), &json!(0))
    );
    assert!(health["last_message_at"].is_string(), "{health}");
}

/// Every key of the native format, in its order, and `data` beside them.
fn assert_native(body: &Value) {
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let native = sample_json("thingshub_native_output.json");
    let mut expected = names(&native);
    expected.push("data".to_owned());
    assert_eq!(names(body), expected);
    assert_eq!(
        names(&body["uplink_metadata"]),
        names(&native["uplink_metadata"])
    );
    assert_eq!(
        names(&body["receptions"][0]),
        names(&native["receptions"][0])
    );
    assert_eq!(body["dev_eui"], EUI);
    assert_eq!(body["frequency"], 867_100_000);
    assert_eq!(
        (&body["spread_factor"], &body["bandwidth"]),
        (&json!(7), &json!(125))
    );
    assert_eq!(body["uplink_metadata"]["driver"], "milesight/am102:1");
    assert_am102(&body["data"]);
    assert_am102(&body["uplink_metadata"]["state"]["reported"]);
}

async fn what_is_no_uplink_of_a_known_device_is_told(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let path = format!("network-connections/{}", connection.id);

    let receipt = hub
        .ingest(&connection, sample("ttn_v3_milesight_am102.json"))
        .await
        .ok();
    assert_eq!(receipt["status"], "unknown_device");
    let join = hub
        .ingest(&connection, sample("ttn_v3_join.json"))
        .await
        .ok();
    assert_eq!(join["status"], "other");
    let malformed = hub
        .ingest(&connection, sample("ttn_v3.as_published.txt"))
        .await;
    let why = malformed.refused(400);
    assert!(why.contains("JSON"), "{why}");

    let events = hub.list(&format!("{path}/events")).await;
    let kinds: Vec<&Value> = events.iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["join", "unknown_device"]);
    let message = events[1]["message"].as_str().unwrap();
    assert!(message.contains(EUI), "{message}");
    let health = hub.get(&path).await.ok()["health"].clone();
    for (name, count) in [
        ("uplinks", 0),
        ("unknown_devices", 1),
        ("other_messages", 1),
        ("malformed", 1),
    ] {
        assert_eq!(health[name], count, "{name}: {health}");
    }
    assert!(
        health["last_error"].as_str().unwrap().contains("JSON"),
        "{health}"
    );

    // The join of a device that somebody has provisioned is that device's event.
    hub.device("joiner", &connection, "0004A30B001C0530", json!({}))
        .await;
    hub.ingest(&connection, sample("ttn_v3_join.json"))
        .await
        .ok();
    let events = hub.list("devices/joiner/events").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["kind"], "join");
}

async fn any_json_is_read_by_pointers(database: Database) {
    let hub = Hub::start(database).await;
    let settings = json!({"type": "http", "mapping": { "device_id_pointer": "/deviceInfo/devEui",
        "payload_pointer": "/data", "payload_encoding": "base64", "port_pointer": "/fPort",
        "time_pointer": "/time", "frame_counter_pointer": "/fCnt"}});
    let connection = hub
        .connect_as(&json!({"name": "chirpstack", "settings": settings}))
        .await;
    am102(&hub, &connection).await;
    let message = sample("chirpstack_v4_milesight_am102.json");
    let receipt = hub.ingest(&connection, message.clone()).await.ok();
    assert_eq!(receipt["status"], "recorded");
    let uplinks = hub.list("devices/am102-1/uplinks").await;
    assert_am102(&uplinks[0]["data"]);
    assert_eq!(
        (&uplinks[0]["f_port"], &uplinks[0]["f_cnt"]),
        (&json!(85), &json!(4))
    );
    assert_eq!(uplinks[0]["time"], "2023-05-22T07:47:05.404859Z");

    let mut nameless: Value = serde_json::from_slice(&message).unwrap();
    nameless["deviceInfo"] = json!({});
    let why = hub
        .ingest(&connection, nameless.to_string())
        .await
        .refused(400);
    assert!(why.contains("/deviceInfo/devEui"), "{why}");
}

async fn a_switched_off_connection_takes_nothing(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    am102(&hub, &connection).await;
    let path = format!("network-connections/{}", connection.id);
    let off = json!({"name": "tts", "enabled": false, "settings": {"type": "the_things_stack"}});
    hub.put(&path, &off).await.ok();
    let message = sample("ttn_v3_milesight_am102.json");
    let receipt = hub.ingest(&connection, message).await.ok();
    assert_eq!(receipt["status"], "disabled");
    assert!(hub.list("devices/am102-1/uplinks").await.is_empty());
}

async fn ingest_keys_let_in_and_nobody_else(database: Database) {
    let hub = Hub::start(database).await;
    let (mine, other) = (hub.connect("mine").await, hub.connect("other").await);
    let path = format!("network-connections/{}/uplinks", mine.id);
    let post = |path: &str| {
        hub.request(reqwest::Method::POST, path)
            .header("Content-Type", "application/json")
            .body(sample("ttn_v3.json"))
    };
    let query = format!("{path}?ingest_key={}", mine.key);
    for request in [
        post(&path).bearer_auth(&mine.key),
        post(&path).header("X-Ingest-Key", &mine.key),
        post(&query),
    ] {
        hub.answer(request).await.ok();
    }
    for request in [
        post(&path),
        post(&path).bearer_auth(&other.key),
        post(&path).bearer_auth(&hub.token),
        post(&path).header("X-Ingest-Key", "nonsense"),
    ] {
        hub.answer(request).await.refused(401);
    }
    let renewed = hub
        .post(
            &format!("network-connections/{}/ingest-key", mine.id),
            &json!({}),
        )
        .await;
    let renewed = renewed.created()["ingest_key"].as_str().unwrap().to_owned();
    assert_ne!(renewed, mine.key);
    hub.answer(post(&path).bearer_auth(&mine.key))
        .await
        .refused(401);
    hub.answer(post(&path).bearer_auth(&renewed)).await.ok();
}
