//! Requests whose client goes away before the answer: what they have changed counts at once, and their
//! idempotency keys are not blocked.

use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    eventually,
    support::{
        database::{Database, Held, on_both_databases, on_postgres, query_text},
        server::{Connection, Hub, WithJson, things_stack},
    },
};

on_both_databases!(
    what_a_cut_request_has_changed_counts,
    the_key_of_a_cut_request_answers,
    a_key_that_a_dead_hub_has_left_is_free_unless_something_was_done,
    a_key_is_read_with_no_wait_for_the_writer,
    what_is_old_is_taken_away,
);

const EUI: &str = "AA00000000000001";
/// Requests that are cut, each at another moment.
const CUTS: u32 = 60;

/// Sends a request and goes away, at a moment that is another for each number.
async fn cut(request: RequestBuilder, number: u32) {
    let moment = Duration::from_micros(u64::from(number * 37 % CUTS) * 200);
    let _ = timeout(moment, request.send()).await;
}

async fn status(hub: &Hub, connection: &Connection) -> String {
    let receipt = hub.ingest(connection, things_stack(EUI)).await.ok();
    receipt["status"].as_str().unwrap().to_owned()
}

fn on_or_off(enabled: bool) -> Value {
    json!({"name": "tts", "enabled": enabled, "settings": {"type": "the_things_stack"}})
}

async fn what_a_cut_request_has_changed_counts(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let path = format!("network-connections/{}", connection.id);
    let mut seen = 0;
    for number in 0..CUTS {
        // A request that was cut before may be executed late. From here on, the hub has the connection in
        // its cache.
        eventually("it is switched on", async || {
            hub.put(&path, &on_or_off(true)).await.ok();
            (status(&hub, &connection).await == "recorded").then_some(())
        })
        .await;
        let request = hub.request(Method::PUT, &path).bearer_auth(&hub.token);
        cut(request.with_json(&on_or_off(false)), number).await;
        // A change that comes behind it waits for it.
        let other =
            json!({"name": format!("other {number}"), "settings": {"type": "the_things_stack"}});
        hub.post("network-connections", &other).await.created();
        if hub.get(&path).await.ok()["enabled"] == false {
            seen += 1;
            eventually("it is switched off", async || {
                (status(&hub, &connection).await == "disabled").then_some(())
            })
            .await;
        }
    }
    assert!(seen > 0, "some are cut behind their commit");

    // A new ingest key whose response is lost.
    let rotate = format!("{path}/ingest-key");
    hub.put(&path, &on_or_off(true)).await.ok();
    for number in 0..CUTS {
        let connection = eventually("the new key opens it", async || {
            let made = hub.post(&rotate, &json!({})).await.created();
            let key = made["ingest_key"].as_str().unwrap().to_owned();
            let id = connection.id;
            let connection = Connection { id, key };
            let answer = hub.ingest(&connection, things_stack(EUI)).await;
            (answer.status == 200).then_some(connection)
        })
        .await;
        let before = hub.get(&path).await.headers["etag"].clone();
        let request = hub.request(Method::POST, &rotate).bearer_auth(&hub.token);
        cut(request.with_json(&json!({})), number).await;
        if hub.get(&path).await.headers["etag"] != before {
            eventually("the old key is dead", async || {
                let answer = hub.ingest(&connection, things_stack(EUI)).await;
                (answer.status == 401).then_some(())
            })
            .await;
        }
    }
}

async fn the_key_of_a_cut_request_answers(database: Database) {
    let hub = Hub::start(database).await;
    let once = |number: u32| {
        hub.request(Method::POST, "devices")
            .bearer_auth(&hub.token)
            .header("Idempotency-Key", format!("key {number}"))
            .with_json(&json!({"name": format!("device {number}")}))
    };
    for number in 0..CUTS {
        cut(once(number), number).await;
    }
    for number in 0..CUTS {
        let made = eventually("the repetition is answered", async || {
            let answer = hub.answer(once(number)).await;
            (answer.status == 201).then_some(answer.body)
        })
        .await;
        assert_eq!(made["name"], format!("device {number}"));
    }
    let devices = hub.get("devices?limit=1&total=true").await.ok();
    assert_eq!(devices["total"], CUTS, "each is made once");
}

async fn a_key_that_a_dead_hub_has_left_is_free_unless_something_was_done(database: Database) {
    let mut hub = Hub::start(database).await;
    let once = async |hub: &Hub| {
        let request = hub
            .request(Method::POST, "devices")
            .bearer_auth(&hub.token)
            .header("Idempotency-Key", "once")
            .with_json(&json!({}));
        hub.answer(request).await
    };
    let first = once(&hub).await.created();
    let leave = async |hub: &Hub, is_done: &str| {
        // The key's row as it is while the request runs.
        let until = match &hub.database {
            Database::Sqlite => "'2999-01-01T00:00:00.000000+00:00'",
            Database::Postgres(_) => "CURRENT_TIMESTAMP + INTERVAL '1 hour'",
        };
        hub.sql(&format!(
            "UPDATE idempotency_keys SET answer = NULL, held_until = {until}, is_done = {is_done}"
        ))
        .await;
    };
    let die = async |hub: &mut Hub| {
        hub.end(Signal::SIGKILL).await;
        hub.start_again().await;
        if let Database::Postgres(_) = hub.database {
            // The other hubs cannot tell that it is dead before its time is over.
            let error = once(hub).await.refused(400);
            assert!(error.contains("has not been answered yet"), "{error}");
            hub.sql("UPDATE idempotency_keys SET held_until = CURRENT_TIMESTAMP - INTERVAL '1 s'")
                .await;
        }
    };

    leave(&hub, "false").await;
    let error = once(&hub).await.refused(400);
    assert!(error.contains("has not been answered yet"), "{error}");
    die(&mut hub).await;
    let second = once(&hub).await.created();
    assert_ne!(first["id"], second["id"]);
    assert_eq!(once(&hub).await.created()["id"], second["id"]);

    // As the request itself has recorded it.
    leave(&hub, "is_done").await;
    die(&mut hub).await;
    let error = once(&hub).await.refused(400);
    assert!(error.contains("check what it has changed"), "{error}");
    assert_eq!(hub.list("devices").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_lasts_as_long_as_its_request() {
    on_postgres(async |database: Database| {
        let hub = Hub::start_with(database, &["--database-connections", "20"]).await;
        let url = hub.database_url();
        let lock = "BEGIN; LOCK TABLE devices IN EXCLUSIVE MODE";
        let held = Held::start(&url, lock).await;
        let request = hub.request(Method::POST, "devices").bearer_auth(&hub.token);
        let request = request.header("Idempotency-Key", "long");
        let request = hub.answer(request.with_json(&json!({})));
        let until = "SELECT coalesce(max(held_until)::text, '') FROM idempotency_keys";
        let renewed = async {
            let first = eventually("the key is claimed", async || {
                let until = query_text(&url, until).await;
                (!until.is_empty()).then_some(until)
            })
            .await;
            eventually("the claim is renewed", async || {
                (query_text(&url, until).await > first).then_some(())
            })
            .await;
            held.end().await;
        };
        let (answer, ()) = tokio::join!(request, renewed);
        answer.created();
        assert_eq!(
            query_text(&url, until).await,
            "",
            "it ends with the request"
        );
    })
    .await;
}

async fn a_key_is_read_with_no_wait_for_the_writer(database: Database) {
    let hub = Hub::start(database).await;
    let key = hub.api_key("k", &["read"]).await;
    let lock = match &hub.database {
        Database::Sqlite => "BEGIN IMMEDIATE",
        Database::Postgres(_) => "BEGIN; LOCK TABLE api_keys IN EXCLUSIVE MODE",
    };
    let held = Held::start(&hub.database_url(), lock).await;
    let request = hub.request(Method::GET, "devices").bearer_auth(&key);
    let answer = timeout(Duration::from_secs(3), hub.answer(request)).await;
    answer.expect("nobody who reads waits").ok();
    held.end().await;
    eventually("the use is noted all the same", async || {
        let used = hub.list("api-keys").await[0]["last_used_at"].is_string();
        used.then_some(())
    })
    .await;
}

async fn what_is_old_is_taken_away(database: Database) {
    let mut hub = Hub::start(database).await;
    let request = hub.request(Method::POST, "devices").bearer_auth(&hub.token);
    let request = request.header("Idempotency-Key", "old");
    hub.answer(request.with_json(&json!({}))).await.created();
    hub.device_without_address("kept").await;
    let before = hub.list("audit-log").await.len();
    let (id, time) = match &hub.database {
        Database::Sqlite => (
            "x'00000000000070008000000000000001'",
            "'2020-01-01T00:00:00.000000+00:00'",
        ),
        Database::Postgres(_) => ("'00000000-0000-7000-8000-000000000001'", "'2020-01-01'"),
    };
    hub.sql(&format!(
        "UPDATE audit_log SET id = {id}, at = {time} \
         WHERE id = (SELECT id FROM audit_log ORDER BY id LIMIT 1)"
    ))
    .await;
    hub.sql(&format!("UPDATE idempotency_keys SET created_at = {time}"))
        .await;
    // A young key and its entry stay.
    let request = hub.request(Method::POST, "devices").bearer_auth(&hub.token);
    let request = request.header("Idempotency-Key", "young");
    hub.answer(request.with_json(&json!({}))).await.created();
    hub.end(Signal::SIGTERM).await;
    hub.start_again().await;
    let count = match &hub.database {
        Database::Sqlite => "SELECT CAST(count(*) AS text) FROM idempotency_keys",
        Database::Postgres(_) => "SELECT count(*)::text FROM idempotency_keys",
    };
    eventually("the old ones are gone", async || {
        let keys = query_text(&hub.database_url(), count).await;
        let entries = hub.list("audit-log").await;
        (keys == "1" && entries.len() == before).then_some(())
    })
    .await;
}
