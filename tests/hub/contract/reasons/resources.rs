//! Reasons of requests whose resource or body does not allow them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::reason;
use crate::support::{
    database::{Database, on_both_databases},
    server::{Answer, Hub},
};

on_both_databases!(
    a_taken_name_has_its_reason,
    a_missing_reference_has_its_reason,
    a_state_that_does_not_allow_it_has_its_reason,
);

/// Asserts an error with this reason at this field.
#[track_caller]
fn assert_reason(answer: &Answer, expected: &str, field: &str) {
    let found = answer.headers.get("x-error-field");
    let found = found.map_or("", |field| field.to_str().unwrap());
    assert_eq!(
        (reason(answer), found),
        (expected, field),
        "{}",
        answer.text
    );
}

const EUI: &str = "AA00000000000001";

fn connection(name: &str) -> Value {
    json!({"name": name, "settings": {"type": "the_things_stack"}})
}

fn integration(name: &str, target: Value) -> Value {
    json!({"name": name, "selector": "", "target": target})
}

fn http() -> Value {
    json!({"type": "http", "url": "https://example.com/"})
}

async fn a_taken_name_has_its_reason(database: Database) {
    let hub = Hub::start(database).await;
    let table = |name: &str| json!({"name": name, "selector": ""});
    let resources = [
        ("data-tables", table("one"), table("two")),
        (
            "integrations",
            integration("one", http()),
            integration("two", http()),
        ),
        ("network-connections", connection("one"), connection("two")),
    ];
    for (path, one, two) in resources {
        hub.post(path, &one).await.created();
        let made = hub.post(path, &two).await.created();
        let path = format!("{path}/{}", made["id"]);
        assert_reason(&hub.put(&path, &one).await, "already_exists", "name");
    }
    for id in ["one", "two"] {
        hub.post("devices", &json!({"id": id, "name": id}))
            .await
            .created();
    }
    let answer = hub.put("devices/two", &json!({"name": "one"})).await;
    assert_reason(&answer, "already_exists", "name");
    hub.tenant("one").await;
    let two = hub.tenant("two").await;
    let answer = hub
        .put(&format!("tenants/{}", two["id"]), &json!({"name": "one"}))
        .await;
    assert_reason(&answer, "already_exists", "name");
    hub.api_key("one", &["read"]).await;
    let body = json!({"name": "one", "scopes": ["read"]});
    assert_reason(&hub.post("api-keys", &body).await, "already_exists", "name");

    let connection = hub.connect("unknown").await;
    let message = crate::support::server::things_stack(EUI);
    hub.ingest(&connection, message).await.ok();
    let path = format!(
        "network-connections/{}/unknown-devices/{EUI}/adopt",
        connection.id
    );
    let answer = hub.post(&path, &json!({"id": "one"})).await;
    assert_reason(&answer, "already_exists", "id");
    let answer = hub.post(&path, &json!({"driver": "a/b:1"})).await;
    assert_reason(&answer, "unknown_reference", "driver");
}

async fn a_missing_reference_has_its_reason(database: Database) {
    let hub = Hub::start(database).await;
    let answer = hub.put("tenants/4711", &json!({"name": "other"})).await;
    assert_reason(&answer, "not_found", "");
    let made = hub.connect("one").await;
    let mut change = connection("one");
    change["auto_provisioning"] = json!({"driver": "a/b:1"});
    let path = format!("network-connections/{}", made.id);
    let answer = hub.put(&path, &change).await;
    assert_reason(&answer, "unknown_reference", "auto_provisioning.driver");
    let answer = hub.put("users/me", &json!({"email": "nobody"})).await;
    assert_reason(&answer, "invalid", "email");
    let answer = hub.get("devices/export?selector=a%20AND").await;
    assert_reason(&answer, "invalid", "selector");
    let is_no_etag = async |method: Method, path: &str| {
        let request = hub.request(method, path).bearer_auth(&hub.token);
        let answer = hub.answer(request.header("If-Match", "seven")).await;
        assert_reason(&answer, "invalid", "If-Match");
    };
    is_no_etag(Method::GET, "auth/token").await;
    is_no_etag(Method::GET, "users/me").await;
    is_no_etag(Method::DELETE, "auth/token").await;
}

async fn a_state_that_does_not_allow_it_has_its_reason(database: Database) {
    let flags = ["--downlink-queue-max", "1"];
    let hub = Hub::start_with(database, &flags).await;
    let stream = integration("stream", json!({"type": "websocket"}));
    let stream = hub.post("integrations", &stream).await.created();
    let path = format!("integrations/{}", stream["id"]);
    let answer = hub.post(&format!("{path}/test"), &json!({})).await;
    assert_reason(&answer, "wrong_state", "");
    let request = hub.request(Method::GET, &format!("{path}/stream"));
    let url = request.build().unwrap().url().clone();
    let request = hub.client_of_http_1().get(url);
    let request = request.bearer_auth(&hub.token).header("Upgrade", "other");
    let answer = hub.answer(request).await;
    assert_reason(&answer, "malformed", "");
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let file = integration("stream", json!({"type": "file", "folder": "erp"}));
    assert_reason(&hub.put(&path, &file).await, "wrong_state", "target.type");

    let broker = json!({"url": "mqtts://broker.example.com"});
    let mqtt = json!({"type": "mqtt", "broker": broker, "topic": "hub"});
    let mqtt = hub
        .post("integrations", &integration("mqtt", mqtt))
        .await
        .created();
    let path = format!("integrations/{}/key", mqtt["id"]);
    let answer = hub.post(&path, &json!({})).await;
    assert_reason(&answer, "wrong_state", "");
}
