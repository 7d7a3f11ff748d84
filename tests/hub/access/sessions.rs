//! Log-ins and the sessions that they begin.

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, PASSWORD, WithJson},
};

on_both_databases!(
    a_session_ends_when_its_time_is_over,
    a_stranger_gets_the_answer_of_a_wrong_password,
);

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

async fn a_session_ends_when_its_time_is_over(database: Database) {
    let mut hub = Hub::start_with(database, &["--session-hours", "2"]).await;
    let before = Utc::now();
    let body = json!({"username": "admin", "password": PASSWORD});
    let session = hub.post("auth/token", &body).await.ok();
    let token = session["token"].as_str().unwrap().to_owned();
    let life = time(&session["expires"]) - before;
    assert!((7195..=7260).contains(&life.num_seconds()), "{life}");
    let ask = async |hub: &Hub| {
        let request = hub.request(Method::GET, "auth/token").bearer_auth(&token);
        hub.answer(request).await
    };
    // Use does not extend it.
    for _ in 0..3 {
        assert_eq!(ask(&hub).await.ok()["expires"], session["expires"]);
    }
    // The setting counts for log-ins from now on, and a session keeps its end.
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&["--session-hours", "1"]).await;
    assert_eq!(ask(&hub).await.ok()["expires"], session["expires"]);

    // As if it had been begun two hours earlier.
    let earlier = match &hub.database {
        Database::Sqlite => "UPDATE sessions SET expires_at = created_at",
        Database::Postgres(_) => "UPDATE sessions SET expires_at = expires_at - INTERVAL '2 hours'",
    };
    hub.sql(earlier).await;
    let refused = ask(&hub).await;
    assert_eq!(refused.headers["x-error-reason"], "expired");
    assert!(refused.headers.contains_key("www-authenticate"));
    refused.refused(401);
    // Every session has ended, and a new log-in begins another one.
    hub.get("devices").await.refused(401);
    hub.token = hub.log_in("admin", PASSWORD).await;
    hub.get("devices").await.ok();
}

async fn a_stranger_gets_the_answer_of_a_wrong_password(database: Database) {
    let hub = Hub::start(database).await;
    let log_in = async |username: &str, password: &str| {
        let body = json!({"username": username, "password": password});
        let request = hub.request(Method::POST, "auth/token").with_json(&body);
        let answer = hub.answer(request).await;
        let reason = answer.headers["x-error-reason"].clone();
        (answer.status, answer.text, reason)
    };
    let user = hub.user("eve", "viewer").await;
    let wrong = log_in("admin", "nonsense").await;
    assert_eq!(wrong.0, 400);
    assert_eq!(log_in("nobody-at-all", "nonsense").await, wrong);
    let lock = json!({"role": "viewer", "locked": true});
    hub.put(&format!("users/{}", user["id"]), &lock).await.ok();
    assert_eq!(log_in("eve", PASSWORD).await, wrong);
    // The case of a name does not matter.
    hub.log_in("ADMIN", PASSWORD).await;
}
