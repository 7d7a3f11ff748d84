//! Changes at a revision, and requests that are repeated.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Answer, EUI, Hub, WithJson},
};

on_both_databases!(
    a_change_needs_the_etag_that_it_names,
    of_two_changes_at_once_one_wins,
    a_repeated_request_is_done_once,
    a_key_is_forgotten_after_a_day,
    an_answer_counts_for_its_own_key_only,
    what_a_device_does_leaves_its_revision_alone,
);

async fn put_if(hub: &Hub, path: &str, etag: &str, body: &Value) -> Answer {
    let request = hub
        .request(Method::PUT, path)
        .bearer_auth(&hub.token)
        .header("If-Match", etag)
        .with_json(body);
    hub.answer(request).await
}

async fn post_once(hub: &Hub, path: &str, key: &str, body: &Value) -> Answer {
    let request = hub
        .request(Method::POST, path)
        .bearer_auth(&hub.token)
        .header("Idempotency-Key", key)
        .with_json(body);
    hub.answer(request).await
}

async fn a_change_needs_the_etag_that_it_names(database: Database) {
    let hub = Hub::start(database).await;
    let made = hub.post("devices", &json!({"id": "d"})).await;
    assert_eq!(made.headers["etag"], "\"1\"");
    let body = json!({"name": "x"});
    let changed = put_if(&hub, "devices/d", "\"1\"", &body).await;
    assert_eq!(changed.headers["etag"], "\"2\"");
    let error = put_if(&hub, "devices/d", "\"1\"", &body).await.refused(400);
    assert!(error.starts_with("header If-Match: "), "{error}");
    put_if(&hub, "devices/d", "*", &body).await.ok();
    put_if(&hub, "devices/d", "\"9\", \"3\"", &body).await.ok();
    for broken in ["W/\"3\"", "\"x\"", ""] {
        let error = put_if(&hub, "devices/d", broken, &body).await.refused(400);
        assert!(error.starts_with("header If-Match: "), "{broken}: {error}");
    }
    let current = hub.get("devices/d").await;
    assert_eq!(current.headers["etag"], "\"4\"");
    let delete = |etag: &str| {
        let request = hub.request(Method::DELETE, "devices/d");
        request
            .bearer_auth(&hub.token)
            .header("If-Match", etag.to_owned())
    };
    hub.answer(delete("\"3\"")).await.refused(400);
    hub.answer(delete("\"4\"")).await.ok();
}

async fn of_two_changes_at_once_one_wins(database: Database) {
    let hub = Hub::start(database).await;
    for number in 0..5 {
        let path = format!("devices/d{number}");
        hub.post("devices", &json!({"id": format!("d{number}")}))
            .await
            .created();
        let changes = (0..6).map(|writer| {
            let (hub, path) = (&hub, &path);
            async move {
                let body = json!({"description": writer.to_string()});
                put_if(hub, path, "\"1\"", &body).await.status
            }
        });
        let mut statuses = futures_util::future::join_all(changes).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400, 400, 400, 400, 400]);
    }
}

async fn a_repeated_request_is_done_once(database: Database) {
    let hub = Hub::start(database).await;
    let body = json!({"name": "k", "scopes": ["write"]});
    let first = post_once(&hub, "api-keys", "once", &body).await;
    let again = post_once(&hub, "api-keys", "once", &body).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.headers["location"], again.headers["location"]);
    assert_eq!(first.headers["etag"], again.headers["etag"]);
    assert_ne!(first.headers["x-request-id"], again.headers["x-request-id"]);
    assert_eq!(first.text, again.text);
    assert_eq!(hub.list("api-keys").await.len(), 1);

    let error = post_once(
        &hub,
        "api-keys",
        "once",
        &json!({"name": "l", "scopes": ["write"]}),
    )
    .await;
    assert!(error.refused(400).starts_with("header Idempotency-Key: "));
    for broken in ["", "a\tb", &"x".repeat(256)] {
        let error = post_once(&hub, "api-keys", broken, &body).await;
        let error = error.refused(400);
        assert!(error.starts_with("header Idempotency-Key: "), "{error}");
    }
    // The longest key; its request is refused for another reason.
    let error = post_once(&hub, "devices", &"x".repeat(255), &json!({"id": "-"})).await;
    assert!(error.refused(400).starts_with("id: "));
    // A refused request may be tried again under the same key.
    post_once(&hub, "devices", "twice", &json!({"id": "-"}))
        .await
        .refused(400);
    post_once(&hub, "devices", "twice", &json!({"id": "d"}))
        .await
        .created();
    // Another caller's keys are its own.
    let other = hub.api_key("other", &["write"]).await;
    let request = hub.request(Method::POST, "devices").bearer_auth(&other);
    let request = request
        .header("Idempotency-Key", "twice")
        .with_json(&json!({"id": "e"}));
    hub.answer(request).await.created();
    // Also those of the key whose number is that of a user.
    let own = post_once(&hub, "devices", "both", &json!({}))
        .await
        .created();
    let key = first.created();
    assert_eq!(key["id"], hub.get("users/me").await.ok()["id"]);
    let request = hub.request(Method::POST, "devices");
    let request = request
        .bearer_auth(key["key"].as_str().unwrap())
        .header("Idempotency-Key", "both")
        .with_json(&json!({}));
    let other = hub.answer(request).await.created();
    assert_ne!(own["id"], other["id"]);

    let device = json!({});
    let posts = (0..6).map(|_| post_once(&hub, "devices", "many", &device));
    let made: Vec<Answer> = futures_util::future::join_all(posts).await;
    let made = made
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| &answer.text);
    let mut ids: Vec<&String> = made.collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(hub.list("devices").await.len(), 5);
}

async fn a_key_is_forgotten_after_a_day(database: Database) {
    let hub = Hub::start(database).await;
    let first = post_once(&hub, "devices", "daily", &json!({}))
        .await
        .created();
    let move_back = async |hours: u32| {
        let then = match &hub.database {
            Database::Sqlite => {
                format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', created_at, '-{hours} hours')")
            }
            Database::Postgres(_) => format!("created_at - interval '{hours} hours'"),
        };
        hub.sql(&format!("UPDATE idempotency_keys SET created_at = {then}"))
            .await;
    };
    move_back(23).await;
    let again = post_once(&hub, "devices", "daily", &json!({}))
        .await
        .created();
    assert_eq!(first["id"], again["id"]);
    move_back(2).await;
    let anew = post_once(&hub, "devices", "daily", &json!({}))
        .await
        .created();
    assert_ne!(first["id"], anew["id"]);
}

async fn an_answer_counts_for_its_own_key_only(database: Database) {
    let hub = Hub::start(database).await;
    for key in ["one", "two"] {
        post_once(&hub, "devices", key, &json!({})).await.created();
    }
    // Whoever can write to the database cannot give a request another one's sealed answer.
    hub.sql(
        "UPDATE idempotency_keys SET answer = (SELECT other.answer FROM idempotency_keys other \
         WHERE other.key_hash <> idempotency_keys.key_hash) \
         WHERE created_at = (SELECT min(created_at) FROM idempotency_keys)",
    )
    .await;
    let error = post_once(&hub, "devices", "one", &json!({})).await;
    let error = error.refused(400);
    assert!(error.contains("check what it has changed"), "{error}");
    post_once(&hub, "devices", "two", &json!({}))
        .await
        .created();
}

async fn what_a_device_does_leaves_its_revision_alone(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let script =
        "function decode(p, port, state) { return { new_state: { n: (state.n || 0) + 1 } } }";
    hub.push("a/b", "1", script).await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    let sigfox = json!({"settings": {"type": "sigfox"}});
    let settings = format!("network-connections/{}/downlink-settings", connection.id);
    hub.put(&settings, &sigfox).await.ok();
    let paths = [
        "devices/d".to_owned(),
        format!("network-connections/{}", connection.id),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(hub.get(path).await);
    }
    for _ in 0..3 {
        hub.uplink(&connection, EUI).await;
    }
    hub.ingest(&connection, "no message").await.refused(400);
    let downlink = json!({"payload_hex": "0102030405060708"});
    hub.post("devices/d/downlinks", &downlink).await.created();
    for (path, before) in paths.iter().zip(before) {
        let after = hub.get(path).await;
        assert_ne!(after.body, before.body, "{path}");
        assert_eq!(after.headers["etag"], before.headers["etag"], "{path}");
    }
    // Whoever has read it before the messages changes it.
    let body = json!({"name": "renamed", "driver": "a/b:1"});
    put_if(&hub, "devices/d", "\"1\"", &body).await.ok();
}
