//! The desired state: the settable values, their encoding by the driver, and the downlinks that carry them.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    network_server::to_nowhere,
    server::{Hub, WithJson},
};

on_both_databases!(
    a_desired_state_becomes_a_downlink,
    what_may_not_be_desired_is_refused,
    a_newer_desired_state_takes_the_place_of_one_that_waits,
    without_an_encoder_the_state_is_kept_and_said_so,
    the_desired_state_counts_in_the_device_s_revision,
);

const EUI: &str = "AA00000000000001";

const ENCODES: &str = "function decode(p) { return {interval: p[0]} }
    function encode(desired, state) {
        if (desired.interval > 60) { throw new Error('too long') }
        return {payload: [desired.interval, desired.led ? 1 : 0], port: 3, confirmed: true}
    }";

fn schema() -> Value {
    json!({"version": "2", "properties": {
        "interval": {"type": "uint8", "unit": "s", "configurable": true},
        "led": {"type": "bool", "configurable": true, "default": true},
        "battery": {"type": "float64", "default": 1},
    }})
}

/// A hub with a device `d` whose driver is this one.
async fn hub(database: Database, script: &str, schema: Option<Value>) -> Hub {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let mut body = json!({"author": "a", "name": "b", "tags": ["1"], "script": script});
    if let Some(schema) = schema {
        body["schema"] = schema;
    }
    hub.post("drivers", &body).await.created();
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    hub.sends_downlinks(&connection, &to_nowhere()).await;
    hub.switch(&connection, "tts", false).await;
    hub
}

async fn desire(hub: &Hub, desired: Value) -> Value {
    let body = json!({"desired": desired});
    hub.put("devices/d/state", &body).await.ok()
}

async fn a_desired_state_becomes_a_downlink(database: Database) {
    let hub = hub(database, ENCODES, Some(schema())).await;
    let before = hub.get("devices/d/state").await.ok();
    assert_eq!(
        (&before["reported"], &before["desired"], &before["transfer"]),
        (&json!({}), &json!({}), &Value::Null)
    );
    assert_eq!(before["defaults"], json!({"led": true}));
    assert_eq!(
        before["configurable"],
        json!([
            {"path": "interval", "type": "number", "unit": "s", "description": null},
            {"path": "led", "type": "boolean", "unit": null, "description": null},
        ])
    );

    let after = desire(&hub, json!({"interval": 10})).await;
    assert_eq!(after["desired"], json!({"interval": 10}));
    assert_eq!(after["transfer"]["state"], "queued");
    assert_eq!(hub.get("devices/d/state").await.ok(), after);
    let device = hub.get("devices/d").await.ok();
    assert_eq!(device["state"]["desired"], json!({"interval": 10}));
    let downlink = hub.list("devices/d/downlinks").await.remove(0);
    assert_eq!(downlink["id"], after["transfer"]["downlink_id"]);
    for (name, value) in [
        ("origin", json!("desired_state")),
        ("payload_hex", json!("0a01")),
        ("values", json!({"interval": 10, "led": true})),
        ("f_port", json!(3)),
        ("confirmed", json!(true)),
    ] {
        assert_eq!(downlink[name], value, "{name}");
    }
    let audit = hub.list("audit-log").await;
    let change = audit
        .iter()
        .find(|entry| entry["action"] == "update_device_state" && entry["resource"] == "devices")
        .unwrap();
    assert_eq!(change["before"], json!({"desired": {}}));
    assert_eq!(change["after"], json!({"desired": {"interval": 10}}));
    let path = format!("devices/d/downlinks/{}", downlink["id"].as_str().unwrap());
    let cancelled = hub.delete(&path).await.ok();
    let transfer = hub.get("devices/d/state").await.ok()["transfer"].clone();
    assert_eq!(transfer["state"], "cancelled", "{transfer}");
    assert_eq!(transfer["at"], cancelled["updated_at"], "{transfer}");
    assert_ne!(transfer["at"], cancelled["created_at"], "{transfer}");
}

async fn what_may_not_be_desired_is_refused(database: Database) {
    let hub = hub(database, ENCODES, Some(schema())).await;
    for (desired, told) in [
        (json!({"battery": 2}), "desired.battery: cannot be set"),
        (
            json!({"nonsense": 2}),
            "desired.nonsense: is not in the driver's schema",
        ),
        (json!({"interval": 256}), "desired.interval: must be"),
        (
            json!({"interval": 61}),
            "desired: the driver cannot encode it: ",
        ),
        (json!(7), "desired: "),
    ] {
        let body = json!({"desired": desired});
        let error = hub.put("devices/d/state", &body).await.refused(400);
        assert!(error.starts_with(told), "{error}");
    }
    hub.put("devices/d/state", &json!({})).await.refused(400);
    let null = json!({"desired": null});
    hub.put("devices/d/state", &null).await.refused(400);
    hub.put("devices/none/state", &json!({"desired": {}}))
        .await
        .refused(404);
    let state = hub.get("devices/d/state").await.ok();
    assert_eq!(state["desired"], json!({}));
    assert!(hub.list("devices/d/downlinks").await.is_empty());
}

async fn a_newer_desired_state_takes_the_place_of_one_that_waits(database: Database) {
    let hub = hub(database, ENCODES, Some(schema())).await;
    // Those of other devices are not replaced, whichever was made first.
    let connection = hub.connect("others").await;
    hub.sends_downlinks(&connection, &to_nowhere()).await;
    hub.switch(&connection, "others", false).await;
    let other = json!({"driver": "a/b:1"});
    hub.device("e", &connection, "AA000000000000EE", other)
        .await;
    let theirs = json!({"desired": {"interval": 7}});
    hub.put("devices/e/state", &theirs).await.ok();
    // Downlinks that a client has queued are not replaced.
    hub.post("devices/d/downlinks", &json!({"payload_hex": "00"}))
        .await
        .created();
    desire(&hub, json!({"interval": 10})).await;
    desire(&hub, json!({"interval": 20, "led": false})).await;
    let found = hub.list("devices/d/downlinks?sort=created_at").await;
    let found: Vec<(&Value, &Value)> = found
        .iter()
        .map(|downlink| (&downlink["payload_hex"], &downlink["state"]))
        .collect();
    let wanted = [("00", "queued"), ("0a01", "cancelled"), ("1400", "queued")];
    assert_eq!(found.len(), wanted.len());
    for ((payload, state), (wanted_payload, wanted_state)) in found.into_iter().zip(wanted) {
        assert_eq!(
            (payload, state),
            (&json!(wanted_payload), &json!(wanted_state))
        );
    }
    let state = desire(&hub, json!({})).await;
    assert_eq!(state["transfer"], Value::Null);
    let waiting = hub.list("devices/d/downlinks?state=queued").await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0]["origin"], "api");
    let theirs = hub.get("devices/e/state").await.ok();
    assert_eq!(theirs["desired"], json!({"interval": 7}));
    assert_eq!(theirs["transfer"]["state"], "queued");
    assert_eq!(hub.list("devices/e/downlinks").await[0]["state"], "queued");
    // The last one that could not be sent is told, and no older downlink.
    hub.put("devices/d", &json!({"driver": null})).await.ok();
    let state = desire(&hub, json!({"interval": 1})).await;
    assert_eq!(state["transfer"]["state"], "not_sent");
}

async fn without_an_encoder_the_state_is_kept_and_said_so(database: Database) {
    let hub = hub(database, "function decode() { return {} }", None).await;
    let state = desire(&hub, json!({"anything": [1, null]})).await;
    assert_eq!(state["desired"], json!({"anything": [1, null]}));
    assert_eq!(state["configurable"], Value::Null);
    assert_eq!(state["transfer"]["state"], "not_sent");
    assert_eq!(state["transfer"]["downlink_id"], Value::Null);
    let reason = state["transfer"]["reason"].as_str().unwrap();
    assert!(reason.contains("encodeDownlink"), "{reason}");
    let events = hub
        .list("devices/d/events?kind=desired_state_not_sent")
        .await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["details"]["reason"], reason);

    // A device without a driver or without a network cannot be reached.
    hub.push("a/c", "1", ENCODES).await;
    for (driver, told) in [
        (Value::Null, "no driver"),
        (json!("a/c:1"), "no network address"),
    ] {
        let device = json!({"driver": driver});
        hub.put("devices/d", &device).await.ok();
        let state = desire(&hub, json!({"interval": 1})).await;
        let reason = state["transfer"]["reason"].as_str().unwrap();
        assert!(reason.contains(told), "{reason}");
    }
    assert!(hub.list("devices/d/downlinks").await.is_empty());
}

async fn the_desired_state_counts_in_the_device_s_revision(database: Database) {
    let hub = hub(database, ENCODES, Some(schema())).await;
    let revision = hub.get("devices/d").await.ok()["revision"].clone();
    let put = async |etag: &str| {
        let request = hub
            .request(reqwest::Method::PUT, "devices/d/state")
            .bearer_auth(&hub.token)
            .header("If-Match", etag)
            .with_json(&json!({"desired": {"interval": 5}}));
        hub.answer(request).await
    };
    let answer = put(&format!("\"{revision}\"")).await;
    let etag = answer.headers["etag"].to_str().unwrap().to_owned();
    assert_ne!(etag, format!("\"{revision}\""));
    answer.ok();
    let error = put(&format!("\"{revision}\"")).await.refused(400);
    assert!(error.contains("If-Match"), "{error}");
    put(&etag).await.ok();
    assert_eq!(hub.list("devices/d/downlinks?state=queued").await.len(), 1);
}
