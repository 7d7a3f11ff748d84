//! Stream keys: they open the live stream without a header, for a short time and for the one who made them.

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use super::stream::{Listener, ONE, TWO, two_devices};
use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases, query_text},
        server::{Answer, Hub, PASSWORD},
    },
};

on_both_databases!(
    a_key_opens_the_stream_without_a_header,
    a_key_opens_nothing_else,
    a_key_has_the_rights_of_its_maker,
    a_key_ends_with_its_maker,
    an_expired_key_opens_nothing_and_is_deleted,
    keys_of_one_maker_are_bounded,
);

async fn make(hub: &Hub, token: &str) -> Answer {
    let request = hub.request(Method::POST, "events/stream-key");
    hub.answer(request.bearer_auth(token)).await
}

async fn key(hub: &Hub, token: &str) -> String {
    let made = make(hub, token).await.ok();
    made["key"].as_str().unwrap().to_owned()
}

fn query(key: &str, more: &str) -> String {
    let key: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    format!("stream_key={key}&{more}")
}

/// First answer of the stream to a key.
async fn status(hub: &Hub, key: &str) -> u16 {
    let path = format!("events?{}", query(key, "for_s=0"));
    hub.answer(hub.request(Method::GET, &path)).await.status
}

async fn expire_all(hub: &Hub) {
    hub.sql("UPDATE stream_keys SET expires_at = '2020-01-01 00:00:00+00:00'")
        .await;
}

async fn a_key_opens_the_stream_without_a_header(database: Database) {
    let hub = Hub::start_with(database, &["--log-filter", "trace"]).await;
    let connection = two_devices(&hub).await;
    let ten_minutes = chrono::TimeDelta::minutes(10);
    let earliest = thingshub::clock::now() + ten_minutes;
    let made = make(&hub, &hub.token).await;
    let latest = thingshub::clock::now() + ten_minutes;
    assert_eq!(made.headers["cache-control"], "no-store");
    let made = made.ok();
    let key = made["key"].as_str().unwrap();
    let expires_at: chrono::DateTime<chrono::Utc> =
        made["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(
        earliest <= expires_at && expires_at <= latest,
        "{expires_at}"
    );

    let mut listener = Listener::open_by_key(&hub, &query(key, "device_id=one")).await;
    hub.uplink(&connection, TWO).await;
    let first = hub.uplink(&connection, ONE).await;
    assert_eq!(listener.next().await.unwrap().id, first);
    drop(listener);
    let missed = hub.uplink(&connection, ONE).await;
    // As `EventSource` comes back: the same URL, and the last id in a header.
    let path = format!("events?{}", query(key, "device_id=one&for_s=0"));
    let request = hub
        .request(Method::GET, &path)
        .header("Last-Event-ID", &first);
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.contains(&missed), "{text}");
    assert!(!text.contains(&format!("id: {first}")), "{text}");

    let log = hub.log();
    assert!(log.contains("/api/v3/events"), "the log has the requests");
    assert!(!log.contains(key.trim_end_matches('=')), "{log}");
    let audit = hub.get("audit-log").await.text;
    assert!(!audit.contains(key), "{audit}");
}

async fn a_key_opens_nothing_else(database: Database) {
    let hub = Hub::start(database).await;
    let key = key(&hub, &hub.token).await;
    let call = async |path: &str| hub.answer(hub.request(Method::GET, path)).await;
    call(&format!("devices?{}", query(&key, "limit=1")))
        .await
        .refused(401);
    hub.get(&format!("devices?{}", query(&key, "limit=1")))
        .await
        .refused(400);
    let target = json!({"name": "live", "selector": "", "target": {"type": "websocket"}});
    let integration = hub.post("integrations", &target).await.created()["id"].clone();
    let path = format!("integrations/{integration}/stream");
    let own = query(&key, "").trim_end_matches('&').to_owned();
    call(&format!("{path}?{own}")).await.refused(401);
    // Neither is a token a key, nor a key a token.
    assert_eq!(status(&hub, &hub.token).await, 401);
    let request = hub.request(Method::GET, "devices").bearer_auth(&key);
    hub.answer(request).await.refused(401);
    let own = hub
        .post(&format!("integrations/{integration}/key"), &json!({}))
        .await;
    let own = own.created()["key"].as_str().unwrap().to_owned();
    assert_eq!(status(&hub, &own).await, 401);
    // A wrong parameter does not hide a wrong key.
    call("events?stream_key=wrong&colour=red")
        .await
        .refused(401);
    call("events?stream_key=wrong&selector=(")
        .await
        .refused(401);
    call(&format!("events?{}", query(&key, "colour=red")))
        .await
        .refused(400);
    call(&format!("events?{}", query(&key, "selector=(")))
        .await
        .refused(400);
    let request = hub
        .request(Method::GET, "events?stream_key=wrong&for_s=0")
        .bearer_auth(&hub.token);
    hub.answer(request).await.ok();
}

async fn a_key_has_the_rights_of_its_maker(database: Database) {
    let hub = Hub::start(database).await;
    let connection = two_devices(&hub).await;
    hub.user("viewer", "viewer").await;
    let viewer = hub.log_in("viewer", PASSWORD).await;
    hub.tenant("other").await;
    let other = hub.log_in("other", PASSWORD).await;
    let reads = hub.api_key("reads", &["devices:read"]).await;
    let tables = hub.api_key("tables", &["data_tables:write"]).await;
    make(&hub, &tables).await.refused(403);
    make(&hub, "nonsense").await.refused(401);
    hub.uplink(&connection, ONE).await;
    let all = "for_s=0&after=00000000-0000-7000-8000-000000000000";
    for (token, expected) in [(viewer, 1), (reads, 1), (other, 0)] {
        let key = key(&hub, &token).await;
        let told = Listener::open_by_key(&hub, &query(&key, all)).await;
        assert_eq!(told.all().await.len(), expected);
    }
    // A key is never valid for longer than what it stands for.
    let soon = thingshub::clock::now() + chrono::TimeDelta::seconds(60);
    let soon = soon.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let brief = json!({"name": "brief", "scopes": ["read"], "expires_at": soon});
    let brief = hub.post("api-keys", &brief).await.created();
    let made = make(&hub, brief["key"].as_str().unwrap()).await.ok();
    assert_eq!(made["expires_at"], soon);
}

async fn a_key_ends_with_its_maker(database: Database) {
    let hub = Hub::start(database).await;
    let connection = two_devices(&hub).await;
    let user = hub.user("viewer", "viewer").await;
    let path = format!("users/{}", user["id"]);
    let log_in = async || hub.log_in("viewer", PASSWORD).await;
    let api_key = json!({"name": "k", "scopes": ["read"]});
    let api_key = hub.post("api-keys", &api_key).await.created();
    let api_token = api_key["key"].as_str().unwrap().to_owned();
    let end: [(&str, String, Method, String, Option<Value>); 4] = [
        (
            "log-out",
            log_in().await,
            Method::DELETE,
            "auth/token".to_owned(),
            None,
        ),
        (
            "an API key that is deleted",
            api_token,
            Method::DELETE,
            format!("api-keys/{}", api_key["id"]),
            None,
        ),
        (
            "a lock",
            log_in().await,
            Method::PUT,
            path.clone(),
            Some(json!({"role": "viewer", "locked": true})),
        ),
        (
            "a user that is deleted",
            String::new(),
            Method::DELETE,
            path.clone(),
            None,
        ),
    ];
    for (what, token, method, path, body) in end {
        let token = match token.is_empty() {
            true => {
                let unlocked = json!({"role": "viewer", "locked": false});
                hub.put(&path, &unlocked).await.ok();
                log_in().await
            }
            false => token,
        };
        let key = key(&hub, &token).await;
        assert_eq!(status(&hub, &key).await, 200, "{what}");
        let mut listener = Listener::open_by_key(&hub, &query(&key, "kinds=uplink")).await;
        hub.uplink(&connection, ONE).await;
        assert!(listener.next().await.is_some(), "{what}");
        match what {
            "log-out" => {
                let request = hub.request(method, &path).bearer_auth(&token);
                hub.answer(request).await.ok();
            }
            _ => {
                hub.call(method, &path, body.as_ref()).await.ok();
            }
        }
        assert_eq!(status(&hub, &key).await, 401, "{what}");
        hub.uplink(&connection, ONE).await;
        assert!(listener.next().await.is_none(), "{what}");
    }
}

async fn an_expired_key_opens_nothing_and_is_deleted(database: Database) {
    let mut hub = Hub::start(database).await;
    let connection = two_devices(&hub).await;
    let key = key(&hub, &hub.token).await;
    let mut listener = Listener::open_by_key(&hub, &query(&key, "")).await;
    expire_all(&hub).await;
    assert_eq!(status(&hub, &key).await, 401);
    // Open streams go on: the session behind it is valid.
    let sent = hub.uplink(&connection, ONE).await;
    assert_eq!(listener.next().await.unwrap().id, sent);
    drop(listener);
    // Old keys are deleted once a minute, and when a hub starts.
    hub.end(Signal::SIGTERM).await;
    hub.start_again().await;
    let (hub, count) = (&hub, "SELECT CAST(count(*) AS TEXT) FROM stream_keys");
    eventually("it is deleted", async || {
        (query_text(&hub.database_url(), count).await == "0").then_some(())
    })
    .await;
}

async fn keys_of_one_maker_are_bounded(database: Database) {
    let hub = Hub::start(database).await;
    key(&hub, &hub.token).await;
    let bytes = match &hub.database {
        Database::Sqlite => "randomblob(32)",
        Database::Postgres(_) => "sha256(CAST(CAST(n AS TEXT) AS bytea))",
    };
    let copies = format!(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999) \
         INSERT INTO stream_keys (tenant_id, key_hash, owner_hash, is_of_api_key, expires_at) \
         SELECT tenant_id, {bytes}, owner_hash, is_of_api_key, expires_at FROM stream_keys, numbers"
    );
    hub.sql(&copies).await;
    let error = make(&hub, &hub.token).await.refused(503);
    assert!(error.contains("stream keys"), "{error}");
    // Keys of others are not counted.
    key(&hub, &hub.log_in("admin", PASSWORD).await).await;
    expire_all(&hub).await;
    key(&hub, &hub.token).await;
}
