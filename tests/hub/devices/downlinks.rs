//! The queue of downlinks.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    network_server::to_nowhere,
    server::{Connection, Hub},
};

on_both_databases!(
    a_downlink_waits_until_it_is_taken_back,
    values_are_encoded_by_the_device_s_driver,
    every_contract_of_a_driver_encodes,
    what_cannot_be_queued_is_refused,
    a_full_queue_is_refused_with_its_bound,
    a_device_is_told_where_it_was_last_heard,
);

const EUI: &str = "AA00000000000001";

/// A hub with a connection and a device `d` behind it, whose driver is `a/b:1`.
async fn hub(database: Database, flags: &[&str], script: &str) -> (Hub, Connection) {
    let hub = Hub::start_with(database, flags).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", script).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    hub.sends_downlinks(&connection, &to_nowhere()).await;
    hub.switch(&connection, "tts", false).await;
    (hub, connection)
}

async fn a_downlink_waits_until_it_is_taken_back(database: Database) {
    let (hub, connection) = hub(database, &[], "function decode() { return {} }").await;
    let body = json!({"payload_hex": "FF0102", "f_port": 85, "confirmed": true, "priority": "high",
        "expires_in_s": 60});
    let queued = hub.post("devices/d/downlinks", &body).await.created();
    for (name, value) in [
        ("state", json!("queued")),
        ("origin", json!("api")),
        ("network_connection_id", json!(connection.id)),
        ("network_device_id", json!(EUI)),
        ("payload_hex", json!("ff0102")),
        ("payload_base64", json!("/wEC")),
        ("values", Value::Null),
        ("f_port", json!(85)),
        ("confirmed", json!(true)),
        ("priority", json!("high")),
        ("sent_at", Value::Null),
    ] {
        assert_eq!(queued[name], value, "{name}");
    }
    let base64 = json!({"payload_base64": "/wEC"});
    let second = hub.post("devices/d/downlinks", &base64).await.created();
    assert_eq!(second["payload_hex"], "ff0102");
    assert_eq!(
        (&second["f_port"], &second["confirmed"], &second["priority"]),
        (&json!(1), &json!(false), &json!("normal"))
    );
    let path = format!("devices/d/downlinks/{}", queued["id"].as_str().unwrap());
    let ids = |found: Vec<Value>| -> Vec<Value> {
        found.into_iter().map(|found| found["id"].clone()).collect()
    };
    let all = hub.list("devices/d/downlinks").await;
    assert_eq!(ids(all), [second["id"].clone(), queued["id"].clone()]);

    let cancelled = hub.delete(&path).await.ok();
    assert_eq!(cancelled["state"], "cancelled");
    assert_eq!(hub.get(&path).await.ok(), cancelled);
    let error = hub.delete(&path).await.refused(400);
    assert!(error.contains("cancelled"), "{error}");
    let of_state = async |state: &str| {
        let path = format!("devices/d/downlinks?state={state}&sort=created_at");
        ids(hub.list(&path).await)
    };
    assert_eq!(of_state("cancelled").await, [queued["id"].clone()]);
    assert_eq!(of_state("queued").await, [second["id"].clone()]);

    let kinds: Vec<Value> = hub
        .list("devices/d/events?sort=at")
        .await
        .into_iter()
        .map(|event| event["kind"].clone())
        .collect();
    assert_eq!(kinds[..2], ["downlink_queued", "downlink_queued"]);
    assert!(kinds.contains(&json!("downlink_cancelled")), "{kinds:?}");
    let audit = hub.list("audit-log?sort=at").await;
    let of_downlinks: Vec<&Value> = audit
        .iter()
        .filter(|entry| entry["resource"] == "downlinks")
        .collect();
    assert_eq!(of_downlinks.len(), 3, "{of_downlinks:?}");
    assert_eq!(of_downlinks[0]["after"]["payload"], "ff0102");
    assert_eq!(of_downlinks[2]["action"], "delete_downlink");
    assert_eq!(of_downlinks[2]["before"]["state"], "queued");
}

async fn values_are_encoded_by_the_device_s_driver(database: Database) {
    let script = "function decode(p) { return {led: p[0]} }
        function encodeDownlink(input) {
            if (input.data.led > 1) { return {errors: ['led is 0 or 1']} }
            return {bytes: [input.data.led, input.state.led === undefined ? 9 : 8], fPort: 7}
        }";
    let (hub, connection) = hub(database, &[], script).await;
    let values = json!({"values": {"led": 1}});
    let queued = hub.post("devices/d/downlinks", &values).await.created();
    assert_eq!(
        (&queued["payload_hex"], &queued["f_port"], &queued["values"]),
        (&json!("0109"), &json!(7), &json!({"led": 1}))
    );
    // The driver knows what the device has reported; the client's port goes before the driver's.
    hub.switch(&connection, "tts", true).await;
    hub.uplink(&connection, EUI).await;
    let body = json!({"values": {"led": 0}, "f_port": 8});
    let queued = hub.post("devices/d/downlinks", &body).await.created();
    assert_eq!(
        (&queued["payload_hex"], &queued["f_port"]),
        (&json!("0008"), &json!(8))
    );
    let values = json!({"values": {"led": 2}});
    let error = hub.post("devices/d/downlinks", &values).await.refused(400);
    assert!(error.starts_with("values: "), "{error}");
    assert!(error.contains("led is 0 or 1"), "{error}");
}

async fn every_contract_of_a_driver_encodes(database: Database) {
    let (hub, _) = hub(database, &[], "function decode() { return {} }").await;
    for (name, script, values, payload, port, confirmed) in [
        (
            "own",
            "function encode(desired, state) {
                return {payload: [desired.led, Object.keys(state).length], port: 3, confirmed: true} }",
            json!({"led": 1}),
            "0100",
            3,
            true,
        ),
        (
            "ttn",
            "function Encoder(data, port) { return [data.led, port] }",
            json!({"led": 1}),
            "0104",
            4,
            false,
        ),
        (
            "chirpstack",
            "function Encode(port, data, variables) { return [port, data.led] }",
            json!({"led": 1}),
            "0401",
            4,
            false,
        ),
        (
            "cayenne",
            "",
            json!({"digital_out_1": 1, "temperature_2": -4.1}),
            "0101010267ffd7",
            4,
            false,
        ),
    ] {
        let driver = match script {
            "" => "thingshub/cayenne-lpp".to_owned(),
            script => {
                let script = format!("{script}\nfunction decode() {{ return {{}} }}");
                hub.push(&format!("a/{name}"), "1", &script).await;
                format!("a/{name}:1")
            }
        };
        let connectivity = hub.get("devices/d").await.ok()["connectivity"].clone();
        let device = json!({"driver": driver, "connectivity": connectivity});
        hub.put("devices/d", &device).await.ok();
        let mut body = json!({"values": values});
        if port == 4 {
            body["f_port"] = 4.into();
        }
        let queued = hub.post("devices/d/downlinks", &body).await.created();
        assert_eq!(
            (&queued["payload_hex"], &queued["f_port"], &queued["confirmed"]),
            (&json!(payload), &json!(port), &json!(confirmed)),
            "{name}"
        );
        // What the client says counts before what the driver does.
        body["confirmed"] = json!(!confirmed);
        let queued = hub.post("devices/d/downlinks", &body).await.created();
        assert_eq!(queued["confirmed"], !confirmed, "{name}");
    }
}

async fn what_cannot_be_queued_is_refused(database: Database) {
    let (hub, connection) = hub(database, &[], "function decode() { return {} }").await;
    hub.post("devices", &json!({"id": "alone"})).await.created();
    let raw = json!({"payload_hex": "00"});
    let with = |name: &str, value: Value| {
        let mut body = raw.clone();
        body[name] = value;
        body
    };
    for (device, body, told) in [
        (
            "d",
            json!({}),
            "payload_hex: exactly one of payload_hex, payload_base64 and values",
        ),
        (
            "d",
            json!({"payload_hex": ""}),
            "payload_hex: must have at least one byte",
        ),
        (
            "d",
            json!({"payload_hex": "0"}),
            "payload_hex: must be pairs",
        ),
        (
            "d",
            with("payload_base64", json!("AA==")),
            "payload_hex: exactly one of payload_hex, payload_base64 and values",
        ),
        (
            "d",
            with("values", json!({})),
            "payload_hex: exactly one of payload_hex, payload_base64 and values",
        ),
        (
            "d",
            json!({"values": {"led": 1}}),
            "values: cannot be encoded",
        ),
        (
            "d",
            with("f_port", json!(0)),
            "f_port: must be an integer from 1 to 223",
        ),
        ("d", with("f_port", json!(224)), "f_port: "),
        ("d", with("priority", json!("urgent")), "priority: "),
        ("d", with("expires_in_s", json!(0)), "expires_in_s: "),
        (
            "d",
            with("expires_at", json!("2020-01-01T00:00:00Z")),
            "expires_at: must be in the future",
        ),
        (
            "d",
            with("network_connection_id", json!(99)),
            "network_connection_id: the device has no",
        ),
        ("d", with("nonsense", json!(1)), "nonsense"),
        (
            "alone",
            raw.clone(),
            "network_connection_id: the device has no network address",
        ),
        ("alone", json!({"values": {}}), "network_connection_id: "),
    ] {
        let path = format!("devices/{device}/downlinks");
        let error = hub.post(&path, &body).await.refused(400);
        assert!(error.contains(told), "{body}: {error}");
    }
    hub.post("devices/none/downlinks", &raw).await.refused(404);
    let path = format!("network-connections/{}/downlink-settings", connection.id);
    hub.delete(&path).await.ok();
    let error = hub.post("devices/d/downlinks", &raw).await.refused(400);
    assert!(error.contains("downlink-settings"), "{error}");
    let unknown = "devices/d/downlinks/0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11";
    hub.get(unknown).await.refused(404);
    hub.delete(unknown).await.refused(404);
    hub.get("devices/d/downlinks/nonsense").await.refused(400);
    hub.get("devices/d/downlinks?state=nonsense")
        .await
        .refused(400);
    assert!(hub.list("devices/d/downlinks").await.is_empty());
}

async fn a_full_queue_is_refused_with_its_bound(database: Database) {
    let flags = ["--downlink-queue-max", "2"];
    let (hub, connection) = hub(database, &flags, "function decode() { return {} }").await;
    let raw = json!({"payload_hex": "00"});
    let first = hub.post("devices/d/downlinks", &raw).await.created();
    hub.post("devices/d/downlinks", &raw).await.created();
    let error = hub.post("devices/d/downlinks", &raw).await.refused(400);
    assert!(error.contains("downlink_queue_max"), "{error}");
    // Each device has a queue of its own.
    hub.device("e", &connection, "AA00000000000002", json!({}))
        .await;
    hub.post("devices/e/downlinks", &raw).await.created();
    let path = format!("devices/d/downlinks/{}", first["id"].as_str().unwrap());
    hub.delete(&path).await.ok();
    hub.post("devices/d/downlinks", &raw).await.created();
}

async fn a_device_is_told_where_it_was_last_heard(database: Database) {
    let (hub, first) = hub(database, &[], "function decode() { return {} }").await;
    let second = hub.connect("other").await;
    hub.sends_downlinks(&second, &to_nowhere()).await;
    hub.switch(&first, "tts", true).await;
    let address = |connection: &Connection| json!({"network_connection_id": connection.id, "network_device_id": EUI});
    let connections = json!([address(&first), address(&second)]);
    let device = json!({"connectivity": {"connections": connections}});
    hub.put("devices/d", &device).await.ok();
    let queued = async |body: Value| {
        let queued = hub.post("devices/d/downlinks", &body).await.created();
        queued["network_connection_id"].as_i64().unwrap()
    };
    let raw = json!({"payload_hex": "00"});
    assert_eq!(queued(raw.clone()).await, first.id);
    hub.uplink(&second, EUI).await;
    assert_eq!(queued(raw).await, second.id);
    let wish = json!({"payload_hex": "00", "network_connection_id": first.id});
    assert_eq!(queued(wish).await, first.id);
}
