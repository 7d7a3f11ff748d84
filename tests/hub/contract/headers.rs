//! Headers that protect: what no cache may keep, HTTPS alone, and one host.

use std::collections::BTreeSet;

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    contract::document::operations,
    support::{
        database::{Database, on_both_databases},
        raw, reasons,
        server::{Hub, PASSWORD, WithJson},
    },
};

on_both_databases!(answers_with_a_secret_are_kept_by_no_cache);

const NO_STORE: &str = "no-store";
const YEAR: &str = "max-age=31536000";

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_s_answer_is_kept_by_a_cache() {
    let hub = Hub::start(Database::Sqlite).await;
    let operations = operations();
    assert!(operations.len() > 100, "{}", operations.len());
    for (method, path, operation) in operations {
        // One of the operations ends the session.
        let token = match operation["operationId"] == "delete_token" {
            true => hub.log_in("admin", PASSWORD).await,
            false => hub.token.clone(),
        };
        for token in [token.as_str(), "wrong"] {
            // Without reading what it answers: some streams have no end.
            let request = hub.request(method.clone(), &path).bearer_auth(token);
            let answer = request.send().await.unwrap();
            let headers = answer.headers();
            let what = format!(
                "{} as {token}: {}",
                operation["operationId"],
                answer.status()
            );
            assert_eq!(headers["cache-control"], NO_STORE, "{what}");
            assert_eq!(headers["strict-transport-security"], YEAR, "{what}");
        }
    }
    for path in ["/nowhere", "/api/v3/nowhere"] {
        let answer = hub.get(path).await;
        assert_eq!(answer.headers["cache-control"], NO_STORE, "{path}");
        assert_eq!(answer.headers["strict-transport-security"], YEAR, "{path}");
    }
    // Nothing of anybody is in these.
    for path in ["/", "/docs", "/docs/reference", "/openapi.json"] {
        let answer = hub.get(path).await;
        assert_eq!(answer.headers["cache-control"], "no-cache", "{path}");
    }
}

async fn answers_with_a_secret_are_kept_by_no_cache(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let target = json!({"type": "websocket"});
    let integration = json!({"name": "live", "selector": "", "target": target});
    let integration = hub.post("integrations", &integration).await.created();
    let log_in = json!({"username": "admin", "password": PASSWORD});
    let key = json!({"name": "k", "scopes": ["read"]});
    let tts = json!({"name": "b", "settings": {"type": "the_things_stack"}});
    let nothing = json!({});
    for (path, body, secret) in [
        ("auth/token".to_owned(), &log_in, "token"),
        ("api-keys".to_owned(), &key, "key"),
        ("network-connections".to_owned(), &tts, "ingest_key"),
        (
            format!("network-connections/{}/ingest-key", connection.id),
            &nothing,
            "ingest_key",
        ),
        (
            format!("integrations/{}/key", integration["id"]),
            &nothing,
            "key",
        ),
    ] {
        // The second gets the answer of the first, where the operation repeats answers.
        let mut told: Vec<Value> = Vec::new();
        for _ in 0..2 {
            let request = hub
                .request(Method::POST, &path)
                .bearer_auth(&hub.token)
                .header("Idempotency-Key", &path)
                .with_json(body);
            let answer = hub.answer(request).await;
            assert!(answer.status < 300, "{path}: {}", answer.text);
            assert!(answer.body[secret].is_string(), "{path}: {}", answer.text);
            assert_eq!(answer.headers["cache-control"], NO_STORE, "{path}");
            told.push(answer.body[secret].clone());
        }
        assert_eq!(told[0] == told[1], path != "auth/token", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_to_come_back_by_https() {
    let mut hub = Hub::start(Database::Sqlite).await;
    let port = hub.address.rsplit_once(':').unwrap().1.to_owned();
    let told = async |hub: &Hub, host: &str| {
        let request = format!("GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = raw::exchange(hub, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let line = "strict-transport-security: ";
        let found = answer.lines().find_map(|found| found.strip_prefix(line));
        found.map(str::to_owned)
    };
    for host in ["hub.example", "127.0.0.1", "localhost.example:8443"] {
        assert_eq!(told(&hub, host).await.as_deref(), Some(YEAR), "{host}");
    }
    // On these hosts the header would apply to all other services of the machine.
    for host in ["localhost", "LocalHost:8443", "a.localhost"] {
        assert_eq!(told(&hub, host).await, None, "{host}");
    }
    let mut stream = TcpStream::connect(&hub.address).await.unwrap();
    let request = format!("GET /livez HTTP/1.1\r\nHost: a:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut plain = String::new();
    stream.read_to_string(&mut plain).await.unwrap();
    assert!(plain.starts_with("HTTP/1.1 400 "), "{plain}");
    assert!(!plain.contains("strict-transport-security"), "{plain}");
    assert!(plain.contains("cache-control: no-store"), "{plain}");

    hub.end(nix::sys::signal::Signal::SIGTERM).await;
    hub.start_again_with(&["--hsts-max-age-s", "0"]).await;
    assert_eq!(
        told(&hub, "hub.example").await.as_deref(),
        Some("max-age=0")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_for_one_host() {
    let hub = Hub::start(Database::Sqlite).await;
    for (request, rule) in [
        ("GET /livez HTTP/1.1\r\n", "is required"),
        ("GET https://a.example/livez HTTP/1.1\r\n", "is required"),
        (
            "GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
            "must not be repeated",
        ),
        (
            "GET /livez HTTP/1.1\r\nHost: a\r\nhost: b\r\n",
            "must not be repeated",
        ),
        (
            "GET /livez HTTP/1.0\r\nHost: a\r\nHost: b\r\n",
            "must not be repeated",
        ),
        ("GET /livez HTTP/1.1\r\nHost:\r\n", "must be a host"),
        ("GET /livez HTTP/1.1\r\nHost: a, b\r\n", "must be a host"),
        ("GET /livez HTTP/1.1\r\nHost: me@a\r\n", "must be a host"),
        ("GET /livez HTTP/1.1\r\nHost: a/b\r\n", "must be a host"),
    ] {
        let whole = format!("{request}Connection: close\r\n\r\n");
        let answer = raw::exchange(&hub, whole.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 400 "), "{request} {answer}");
        assert!(head.contains("x-request-id: "), "{request} {answer}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"], 400);
        let error = body["error"].as_str().unwrap();
        let expected = format!("header Host: {rule}");
        assert!(error.starts_with(&expected), "{request} {error}");
    }
    for request in [
        "GET /livez HTTP/1.1\r\nHost: a.example:8443\r\nConnection: close\r\n\r\n",
        "GET https://a.example/livez HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n",
        "GET /livez HTTP/1.0\r\n\r\n",
    ] {
        let answer = raw::exchange(&hub, request.as_bytes()).await;
        assert!(answer.contains(" 200 "), "{request} {answer}");
    }
    // HTTP/2, whose own form of it is in the URL.
    let request = hub.request(Method::GET, "/livez");
    hub.answer(request.header("Host", "another.example"))
        .await
        .refused(400);
    hub.get("/livez").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_answered_like_one() {
    let hub = Hub::start(Database::Sqlite).await;
    let start = "GET /livez HTTP/1.1\r\nHost: a\r\n";
    let many: String = (0..100).map(|n| format!("x{n}: y\r\n")).collect();
    let mut reasons = BTreeSet::new();
    for (request, expected) in [
        ("nonsense\r\n\r\n".to_owned(), "no valid HTTP request"),
        (
            "G@T / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "no valid HTTP request",
        ),
        (
            "GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(),
            "no valid HTTP request",
        ),
        (format!("{start}x y: 1\r\n\r\n"), "no valid HTTP request"),
        (
            format!("{start}Content-Length: x\r\n\r\n"),
            "no valid HTTP request",
        ),
        (
            format!("{start}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            "no valid HTTP request",
        ),
        (format!("{start}{many}\r\n"), "at most 100 headers"),
        (
            format!(
                "GET /api/v3/devices?q={} HTTP/1.1\r\nHost: a\r\n\r\n",
                "a".repeat(65_600)
            ),
            "less than 64 KiB",
        ),
        // Behind one that is answered.
        (
            format!("{start}\r\nnonsense\r\n\r\n"),
            "no valid HTTP request",
        ),
    ] {
        let answers = raw::exchange(&hub, request.as_bytes()).await;
        let last = answers.rfind("HTTP/1.1 ").unwrap();
        let (head, body) = answers[last..].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{answers}");
        for header in [
            "x-request-id: ",
            "content-type: application/json",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{answers}");
        }
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["code"], body.as_object().unwrap().len()),
            (&json!(400), 2)
        );
        let error = body["error"].as_str().unwrap();
        assert!(error.contains(expected), "{error}");
        let reason = head.split("x-error-reason: ").nth(1).unwrap();
        let reason = reason.lines().next().unwrap();
        reasons.insert(reason.to_owned());
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("x-error-reason"),
            reason.parse().unwrap(),
        )]);
        reasons::note("GET", "/api/v3/devices", 400, &headers, error);
    }
    // They may come for every operation.
    let document = hub.get("/openapi.json").await.ok();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let listed = operation["x-error-reasons"].as_array().unwrap();
            let listed: BTreeSet<&str> = listed
                .iter()
                .map(|entry| entry["reason"].as_str().unwrap())
                .collect();
            for reason in &reasons {
                assert!(listed.contains(&**reason), "{method} {path}: {reason}");
            }
        }
    }
    assert_eq!(reasons.len(), 2);
}
