//! Two hubs on one PostgreSQL: what one changes, the other knows at the next request or message.

use reqwest::Method;
use serde_json::json;

use crate::{
    database::{Database, on_postgres},
    server::{Hub, PASSWORD},
};

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
