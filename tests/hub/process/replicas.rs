//! Two hubs on one PostgreSQL: what one changes, the other knows at the next request or message.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    database::{Database, on_postgres, query_text},
    server::{Connection, Hub, PASSWORD, things_stack},
};

const EUI: &str = "AA00000000000001";

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_hub_counts_on_the_other_at_once() {
    on_postgres(async |database: Database| {
        let one = Hub::start(database.clone()).await;
        let two = Hub::start(database).await;
        let connection = one.connect("tts").await;
        one.push("a/b", "1", "function decode() { return {v: 1} }")
            .await;
        let more = json!({"driver": "a/b:1", "labels": ["kept"]});
        one.device("d", &connection, "AA00000000000001", more).await;
        let table = json!({"name": "t", "selector": "kept"});
        let table = one.post("data-tables", &table).await.created()["id"].clone();
        let rows = format!("data-tables/{table}/rows");

        // Both have the device ready from here on.
        for hub in [&one, &two] {
            hub.uplink(&connection, "AA00000000000001").await;
        }
        assert_eq!(two.list(&rows).await.len(), 2);
        one.delete("devices/d/labels/kept").await.ok();
        two.uplink(&connection, "AA00000000000001").await;
        assert_eq!(two.list(&rows).await.len(), 2);
        one.post("devices/d/labels?labels=kept", &json!({}))
            .await
            .ok();
        two.uplink(&connection, "AA00000000000001").await;
        assert_eq!(two.list(&rows).await.len(), 3);
        one.push("a/b", "1", "function decode() { return {v: 2} }")
            .await;
        two.uplink(&connection, "AA00000000000001").await;
        assert_eq!(
            two.list("devices/d/uplinks").await[0]["data"],
            json!({"v": 2})
        );

        let path = format!("network-connections/{}/ingest-key", connection.id);
        one.post(&path, &json!({})).await.created();
        let with_old_key = two.ingest(&connection, "{}").await;
        with_old_key.refused(401);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_token_is_dead_on_every_hub() {
    on_postgres(async |database: Database| {
        let one = Hub::start(database.clone()).await;
        let two = Hub::start(database).await;
        let key = json!({"name": "k", "scopes": ["read"]});
        let key = one.post("api-keys", &key).await.created();
        let path = format!("api-keys/{}", key["id"]);
        let key = key["key"].as_str().unwrap().to_owned();
        let session = one.log_in("admin", PASSWORD).await;
        for token in [&key, &session] {
            let request = two.request(Method::GET, "devices").bearer_auth(token);
            two.answer(request).await.ok();
        }
        one.delete(&path).await.ok();
        let out = one
            .request(Method::DELETE, "auth/token")
            .bearer_auth(&session);
        one.answer(out).await.ok();
        for token in [&key, &session] {
            let request = two.request(Method::GET, "devices").bearer_auth(token);
            two.answer(request).await.refused(401);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hubs_that_start_together_make_a_new_database_once() {
    on_postgres(async |database: Database| {
        let starting = (0..3).map(|_| Hub::start(database.clone()));
        let hubs = futures_util::future::join_all(starting).await;
        let connection = hubs[0].connect("tts").await;
        let eui = "AA00000000000001";
        hubs[1].device("d", &connection, eui, json!({})).await;
        for hub in &hubs {
            hub.uplink(&connection, eui).await;
            assert_eq!(hub.list("users").await.len(), 1);
        }
        assert_eq!(hubs[2].list("devices/d/uplinks").await.len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_refused_by_what_another_hub_has_changed() {
    on_postgres(async |database: Database| {
        let one = Hub::start(database.clone()).await;
        let two = Hub::start(database).await;
        let mut connection = one.connect("tts").await;
        one.device("d", &connection, EUI, json!({})).await;
        let path = format!("network-connections/{}", connection.id);
        let set = async |enabled: bool| {
            let settings = json!({"type": "the_things_stack"});
            let body = json!({"name": "tts", "enabled": enabled, "settings": settings});
            one.put(&path, &body).await.ok();
        };
        let status = async |connection: &Connection| {
            let receipt = two.ingest(connection, things_stack(EUI)).await.ok();
            receipt["status"].clone()
        };
        // Each time, hub two has ready what it has just refused or dropped.
        for _ in 0..3 {
            set(false).await;
            assert_eq!(status(&connection).await, "disabled");
            set(true).await;
            assert_eq!(status(&connection).await, "recorded");
        }
        for _ in 0..3 {
            let made = one.post(&format!("{path}/ingest-key"), &json!({})).await;
            let key = made.created()["ingest_key"].as_str().unwrap().to_owned();
            let old = std::mem::replace(&mut connection.key, key);
            assert_eq!(status(&connection).await, "recorded");
            let with_old_key = Connection {
                id: connection.id,
                key: old,
            };
            let answer = two.ingest(&with_old_key, things_stack(EUI)).await;
            answer.refused(401);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_is_gone_on_every_hub() {
    on_postgres(async |database: Database| {
        let one = Hub::start(database.clone()).await;
        let two = Hub::start(database).await;
        let connection = one.connect("tts").await;
        one.device("d", &connection, EUI, json!({})).await;
        let tenant = one.tenant("gone").await;
        let token = one.log_in("gone", PASSWORD).await;
        let body = json!({"name": "theirs", "settings": {"type": "the_things_stack"}});
        let request = one
            .request(Method::POST, "network-connections")
            .bearer_auth(&token)
            .header("Content-Type", "application/json")
            .body(body.to_string());
        let made = one.answer(request).await.created();
        let theirs = Connection {
            id: made["id"].as_i64().unwrap(),
            key: made["ingest_key"].as_str().unwrap().to_owned(),
        };
        two.ingest(&theirs, things_stack(EUI)).await.ok();
        two.uplink(&connection, EUI).await;
        one.delete(&format!("tenants/{}", tenant["id"])).await.ok();
        let (answer, others) = tokio::join!(
            two.ingest(&theirs, things_stack(EUI)),
            two.ingest(&connection, things_stack(EUI)),
        );
        answer.refused(401);
        assert_eq!(others.ok()["status"], "recorded");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_ins_and_redecoding_change_nothing_that_is_kept_ready() {
    on_postgres(async |database: Database| {
        let hub = Hub::start(database).await;
        let connection = hub.connect("tts").await;
        hub.push("a/b", "1", "function decode() { return {v: 1} }")
            .await;
        hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
            .await;
        hub.uplink(&connection, EUI).await;
        let epoch = "SELECT epoch::text FROM tenants WHERE id = 1";
        let before = query_text(&hub.database_url(), epoch).await;
        let token = hub.log_in("admin", PASSWORD).await;
        let out = hub
            .request(Method::DELETE, "auth/token")
            .bearer_auth(&token);
        hub.answer(out).await.ok();
        hub.post("devices/d/redecode?dry_run=false", &json!({}))
            .await
            .ok();
        assert_eq!(query_text(&hub.database_url(), epoch).await, before);
        hub.device_without_address("e").await;
        assert_ne!(query_text(&hub.database_url(), epoch).await, before);
    })
    .await;
}
