//! Guessing passwords: each guess counts, at once or in a row, and where it comes from is told by the
//! proxies that the operator trusts.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        server::{Answer, Hub, PASSWORD, WithJson},
    },
};

on_both_databases!(
    guesses_at_once_count_like_guesses_in_a_row,
    the_current_password_is_not_guessed_either,
);

const FIVE: [&str; 2] = ["--login-failures-max", "5"];
const OTHER_PASSWORD: &str = "quite another password";

async fn log_in_via(hub: &Hub, headers: &[(&str, &str)], password: &str) -> Answer {
    let body = json!({"username": "eve", "password": password});
    let mut request = hub.request(Method::POST, "auth/token");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    hub.answer(request.with_json(&body)).await
}

async fn guesses_at_once_count_like_guesses_in_a_row(database: Database) {
    let hub = Hub::start_with(database, &FIVE).await;
    hub.user("eve", "viewer").await;
    for _ in 0..3 {
        // Right ones do not count, as many as there are.
        let logins = join_all((0..5).map(|_| log_in_via(&hub, &[], PASSWORD))).await;
        for login in logins {
            login.ok();
        }
    }
    let mut compared = 0;
    for _ in 0..4 {
        let guesses = join_all((0..50).map(|_| log_in_via(&hub, &[], "nonsense"))).await;
        for guess in guesses {
            match guess.status {
                503 => assert!(guess.headers.contains_key("retry-after")),
                _ => {
                    assert_eq!(guess.refused(400), "invalid credentials");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 5);
    let right = log_in_via(&hub, &[], PASSWORD).await;
    let wait: u64 = right.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((60..=900).contains(&wait), "{wait}");
    right.refused(503);
    // Other users can still log in.
    hub.log_in("admin", PASSWORD).await;
}

async fn the_current_password_is_not_guessed_either(database: Database) {
    let hub = Hub::start_with(database, &FIVE).await;
    hub.user("eve", "viewer").await;
    let token = hub.log_in("eve", PASSWORD).await;
    let change = async |current: &str| {
        let body = json!({"current_password": current, "new_password": OTHER_PASSWORD});
        let request = hub.request(Method::PUT, "users/me/password");
        hub.answer(request.bearer_auth(&token).with_json(&body))
            .await
    };
    let guesses = join_all((0..20).map(|_| change("nonsense"))).await;
    let compared = guesses.iter().filter(|guess| guess.status == 400).count();
    assert_eq!(compared, 5, "{guesses:#?}");
    // The right password is put off as well, here and at the log-in.
    change(PASSWORD).await.refused(503);
    log_in_via(&hub, &[], PASSWORD).await.refused(503);
    let request = hub.request(Method::GET, "users/me").bearer_auth(&token);
    hub.answer(request).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_behind_the_proxy_locks_out_nobody_else() {
    let flags = [&FIVE[..], &["--trusted-proxies", "127.0.0.1, 10.0.0.0/8"]].concat();
    let flags = [&flags[..], &["--log-filter", "thingshub=debug"]].concat();
    let hub = Hub::start_with(Database::Sqlite, &flags).await;
    hub.user("eve", "viewer").await;
    for (stranger, neighbour, other) in [
        (
            [("X-Forwarded-For", "192.0.2.66, 10.1.1.1")],
            // The stranger's own entries stand further to the left.
            [("X-Forwarded-For", "198.51.100.1, 192.0.2.66")],
            [("X-Forwarded-For", "192.0.2.67, 10.1.1.1")],
        ),
        (
            [("Forwarded", "for=\"[2001:db8:1:2::1]:4711\";proto=https")],
            [("Forwarded", "for=unknown, for=\"[2001:db8:1:2::9]\"")],
            [("Forwarded", "for=\"[2001:db8:1:3::1]\"")],
        ),
    ] {
        for _ in 0..5 {
            log_in_via(&hub, &stranger, "nonsense").await.refused(400);
        }
        log_in_via(&hub, &stranger, PASSWORD).await.refused(503);
        log_in_via(&hub, &neighbour, PASSWORD).await.refused(503);
        log_in_via(&hub, &other, PASSWORD).await.ok();
    }
    log_in_via(&hub, &[], PASSWORD).await.ok();

    let request = hub.request(Method::POST, "devices").bearer_auth(&hub.token);
    let request = request.header("X-Forwarded-For", "192.0.2.68:1234");
    hub.answer(request.with_json(&json!({"id": "d"})))
        .await
        .created();
    let entry = hub.list("audit-log").await.remove(0);
    assert_eq!(entry["address"], "192.0.2.68");
    assert!(hub.log().contains("192.0.2.68"), "{}", hub.log());

    let connection = hub.connect("tts").await;
    let path = format!("network-connections/{}/uplinks", connection.id);
    let request = hub.request(Method::POST, &path).bearer_auth("wrong");
    let request = request.header("X-Forwarded-For", "192.0.2.70");
    hub.answer(request.with_json(&json!({}))).await.refused(401);
    let log = hub.log();
    let mut lines = log.lines().filter(|line| line.contains("wrong ingest key"));
    assert!(lines.any(|line| line.contains("192.0.2.70")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_believed_where_a_request_comes_from() {
    let flags = [&FIVE[..], &["--trusted-proxies", "10.0.0.0/8"]].concat();
    let hub = Hub::start_with(Database::Sqlite, &flags).await;
    hub.user("eve", "viewer").await;
    for number in 0..6 {
        let address = format!("192.0.2.{number}");
        let forwarded = format!("for={address}");
        let headers = [
            ("X-Forwarded-For", address.as_str()),
            ("Forwarded", forwarded.as_str()),
        ];
        let status = if number < 5 { 400 } else { 503 };
        log_in_via(&hub, &headers, "nonsense").await.refused(status);
    }
    let request = hub.request(Method::POST, "devices").bearer_auth(&hub.token);
    let request = request.header("X-Forwarded-For", "192.0.2.68");
    hub.answer(request.with_json(&json!({"id": "d"})))
        .await
        .created();
    let entry = hub.list("audit-log").await.remove(0);
    assert_eq!(entry["address"], "127.0.0.1");
}

/// A flood of log-ins delays its own address, and keeps nobody else out.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_ins_keeps_out_nobody_at_another_address() {
    /// More than may wait in all.
    const FLOOD: usize = 80;
    let hub = Hub::start_with(Database::Sqlite, &["--trusted-proxies", "127.0.0.1"]).await;
    let (over, refused) = (AtomicBool::new(false), AtomicBool::new(false));
    let flood = join_all((0..FLOOD).map(|number| {
        let (hub, over, refused) = (&hub, &over, &refused);
        async move {
            for attempt in 0_u32.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let body =
                    json!({"username": format!("u{number}-{attempt}"), "password": "nonsense"});
                let request = hub.request(Method::POST, "auth/token");
                let request = request.header("X-Forwarded-For", "192.0.2.66");
                let answer = hub.answer(request.with_json(&body)).await;
                if answer.status == 503 {
                    assert!(answer.headers.contains_key("retry-after"));
                    refused.store(true, Ordering::Relaxed);
                }
            }
        }
    }));
    let others = async {
        eventually("there are too many", async || {
            refused.load(Ordering::Relaxed).then_some(())
        })
        .await;
        for _ in 0..5 {
            let body = json!({"username": "admin", "password": PASSWORD});
            let request = hub.request(Method::POST, "auth/token");
            let request = request.header("X-Forwarded-For", "192.0.2.67");
            hub.answer(request.with_json(&body)).await.ok();
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(flood, others);
}
