//! Every kind of message that the document describes, from a network server to receivers.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::document::document,
    eventually, sample_json,
    support::{
        database::{Database, on_both_databases},
        messages::schema_of,
        server::{Connection, Hub, WithJson},
        sink::Sink,
    },
};

on_both_databases!(every_kind_of_message_reaches_a_receiver);

/// The device of ChirpStack's own examples.
const EUI: &str = "0101010101010101";
const FAILS: &str = "function decode() { throw new Error('no such port') }";
const SEVERAL_TIMES: &str = "function decode() { return {updates: [
    {timestamp: '2026-01-31T10:00:00Z', values: {t: 1}}, {timestamp: '2026-01-31T12:00:00Z', values: {t: 2}}]}; }";

/// Message of ChirpStack about a device.
async fn chirpstack_tells(hub: &Hub, connection: &Connection, event: &str, message: &Value) {
    let path = format!(
        "network-connections/{}/uplinks?event={event}",
        connection.id
    );
    let request = hub
        .request(Method::POST, &path)
        .bearer_auth(&connection.key);
    hub.answer(request.with_json(message)).await.ok();
}

async fn integrate(hub: &Hub, form: &str, sink: &Sink) -> Value {
    let events = [
        "data", "raw", "join", "downlink", "status", "location", "error",
    ];
    let body = json!({"name": form, "selector": "", "events": events, "payload": {"type": form},
        "target": {"type": "http", "url": sink.url}});
    hub.post("integrations", &body).await.created()["id"].clone()
}

async fn every_kind_of_message_reaches_a_receiver(database: Database) {
    let hub = Hub::start_with(database, &["--outgoing-allow", "127.0.0.0/8"]).await;
    let (native, enveloped) = (Sink::willing().await, Sink::willing().await);
    let ids = [
        integrate(&hub, "native", &native).await,
        integrate(&hub, "cloudevents", &enveloped).await,
    ];
    let things_stack = hub.connect("tts").await;
    for (id, eui, script) in [
        ("several", "AA00000000000001", SEVERAL_TIMES),
        ("fails", "AA00000000000002", FAILS),
    ] {
        hub.push(&format!("a/{id}"), "1", script).await;
        let driver = json!({"driver": format!("a/{id}:1")});
        hub.device(id, &things_stack, eui, driver).await;
        hub.uplink(&things_stack, eui).await;
    }
    let body = json!({"name": "chirpstack", "settings": {"type": "chirpstack"}});
    let chirpstack = hub.connect_as(&body).await;
    let more = json!({"name": "Hall", "labels": ["site=berlin"]});
    hub.device("d", &chirpstack, EUI, more).await;
    for event in ["join", "status", "location", "log", "ack", "txack"] {
        let message = sample_json(&format!("chirpstack_v4_{event}.json"));
        chirpstack_tells(&hub, &chirpstack, event, &message).await;
    }
    let network = Sink::willing().await.of_templates();
    let settings = json!({"type": "http", "method": "POST", "url": network.url});
    hub.sends_downlinks(&chirpstack, &settings).await;
    let downlink = json!({"payload_hex": "00", "f_port": 1});
    hub.post("devices/d/downlinks", &downlink).await.created();
    for id in ids {
        let path = format!("integrations/{id}/test");
        let tested = hub.post(&path, &json!({})).await.ok();
        assert_eq!(tested["is_delivered"], true, "{tested}");
    }

    let schemas = schemas_of_messages();
    let types = types_of_cloud_events();
    let bodies = |sink: &Sink| -> Vec<Value> {
        let received = sink.received().into_iter();
        received.map(|received| received.body).collect()
    };
    let received = eventually("each kind of message comes", async || {
        let received = bodies(&native);
        let found: BTreeSet<&str> = received.iter().filter_map(schema_of).collect();
        let has = |pointer: &str| received.iter().any(|body| body.pointer(pointer).is_some());
        let is_whole = [
            "/updates",
            "/error",
            "/details/downlink_id",
            "/details/body",
        ];
        let is_complete = found.len() == schemas.len() && is_whole.into_iter().all(has);
        is_complete.then_some(received)
    })
    .await;
    let found: BTreeSet<&str> = received.iter().filter_map(schema_of).collect();
    assert_eq!(found, schemas.iter().map(String::as_str).collect());
    eventually("each type of CloudEvent comes", async || {
        let received = bodies(&enveloped);
        let of_type = |event: &Value| event["type"].as_str().unwrap().to_owned();
        let found: BTreeSet<String> = received.iter().map(of_type).collect();
        (found == types).then_some(())
    })
    .await;
}

/// Names of the schemas of messages in the native output format.
fn schemas_of_messages() -> BTreeSet<String> {
    let document = document();
    let kinds = document["x-webhooks"].as_object().unwrap().values();
    let contents = kinds.map(|methods| &methods["post"]["requestBody"]["content"]);
    contents
        .filter_map(|content| content["application/json"]["schema"]["$ref"].as_str())
        .map(|reference| reference.rsplit('/').next().unwrap().to_owned())
        .collect()
}

fn types_of_cloud_events() -> BTreeSet<String> {
    let document = document();
    let schema = &document["components"]["schemas"]["CloudEvent"];
    let words = schema["properties"]["type"]["enum"]
        .as_array()
        .unwrap()
        .iter();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}
