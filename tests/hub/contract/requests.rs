//! Requests that are no good before anybody looks at their fields.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    database::{Database, Held, on_both_databases},
    server::Hub,
};

on_both_databases!(a_request_that_takes_too_long_is_put_off);

const BODIES: [&str; 5] = [
    "devices",
    "data-tables",
    "integrations",
    "drivers",
    "network-connections",
];

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_json() {
    let hub = Hub::start(Database::Sqlite).await;
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let deep_field = format!(r#"{{"metadata": {{"a": {deep}}}}}"#);
    let bodies: [&[u8]; 13] = [
        b"",
        b"{",
        b"nonsense",
        b"{} {}",
        b"{\"name\": \"\xff\"}",
        b"{\"name\": \"\\ud800\"}",
        b"{\"name\": \"\\udc00\\ud800\"}",
        b"{\"name\": \"a\x00b\"}",
        b"{\"name\": NaN}",
        b"{'name': 1}",
        b"{\"name\": 1e999999}",
        deep.as_bytes(),
        deep_field.as_bytes(),
    ];
    for path in BODIES {
        for body in bodies {
            let answer = hub.post_raw(path, body.to_vec()).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            assert_eq!(answer.status, 400, "{path} {shown}: {}", answer.text);
        }
        for body in ["null", "[]", "7", "\"x\"", "true"] {
            let error = hub.post_raw(path, body).await.refused(400);
            assert_eq!(error, "body: must be an object", "{path} {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_known_and_not_repeated() {
    let hub = Hub::start(Database::Sqlite).await;
    for (path, body, expected) in [
        (
            "devices",
            r#"{"id": "a", "id": "b"}"#,
            "id: must not be repeated",
        ),
        (
            "devices",
            r#"{"id": "a", "ID": "b"}"#,
            "ID: is unknown here",
        ),
        ("data-tables", r#"{"selector": ""}"#, "name: is required"),
        ("data-tables", r#"{"name": "a"}"#, "selector: is required"),
        (
            "integrations",
            r#"{"name": "a", "selector": ""}"#,
            "target: is required",
        ),
        (
            "network-connections",
            r#"{"name": "a"}"#,
            "settings: is required",
        ),
        (
            "drivers",
            r#"{"author": "a", "name": "b", "tags": ["1"]}"#,
            "script: is required",
        ),
        (
            "auth/token",
            r#"{"username": "admin"}"#,
            "password: is required",
        ),
        (
            "auth/token",
            r#"{"username": "admin", "password": 5}"#,
            "password: must be a string",
        ),
    ] {
        let error = hub.post_raw(path, body).await.refused(400);
        assert_eq!(error, expected, "{path} {body}");
    }
    // Also inside what is tagged, and inside what is the client's own.
    for body in [
        r#"{"name": "x", "settings": {"type": "http", "type": "the_things_stack"}}"#,
        r#"{"name": "x", "settings": {"type": "the_things_stack", "type": "the_things_stack"}}"#,
    ] {
        hub.post_raw("network-connections", body).await.refused(400);
    }
    let body = r#"{"id": "x", "metadata": {"a": 1, "a": 2}}"#;
    let error = hub.post_raw("devices", body).await.refused(400);
    assert_eq!(error, "metadata.a: must not be repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_no_body_refuses_one() {
    let hub = Hub::start(Database::Sqlite).await;
    let connection = hub.connect("tts").await;
    let key = format!("network-connections/{}/ingest-key", connection.id);
    let path = format!("network-connections/{}", connection.id);
    let send = async |method: Method, path: &str, body: reqwest::Body| {
        let request = hub.request(method, path).bearer_auth(&hub.token);
        hub.answer(request.body(body)).await
    };
    let none = "body: this operation takes no body";
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(3 * 1024 * 1024));
    for (body, expected) in [
        (
            r#"{"driver": "x", "b": 1}"#,
            "driver: is unknown here: this operation takes no body",
        ),
        (
            "{\"a\\u0000b\": 1}",
            "ab: is unknown here: this operation takes no body",
        ),
        ("null", none),
        ("[]", none),
        ("nonsense", none),
        (&large, none),
    ] {
        for (method, path) in [
            (Method::POST, "devices/d/redecode"),
            (Method::POST, &key),
            (Method::GET, "devices"),
            (Method::GET, "/livez"),
            (Method::DELETE, &path),
        ] {
            // Once with the length announced, and once without.
            for body in [reqwest::Body::from(body.to_owned()), in_chunks(body)] {
                let error = send(method.clone(), path, body).await.refused(400);
                let shown: String = error.chars().take(40).collect();
                assert_eq!(error, expected, "{method} {path} {shown}");
            }
        }
    }
    for body in ["", " \n", "{}", " { } "] {
        for body in [reqwest::Body::from(body), in_chunks(body)] {
            send(Method::POST, &key, body).await.created();
        }
        for body in [reqwest::Body::from(body), in_chunks(body)] {
            send(Method::GET, "devices", body).await.ok();
        }
    }
    // A caller without rights learns nothing else.
    let request = hub.request(Method::GET, "devices").body("nonsense");
    hub.answer(request).await.refused(401);
    send(Method::DELETE, &path, "{}".into()).await.ok();
}

fn in_chunks(body: &str) -> reqwest::Body {
    let chunks: Vec<Vec<u8>> = body.as_bytes().chunks(1000).map(<[u8]>::to_vec).collect();
    let chunks = chunks.into_iter().map(Ok::<_, std::io::Error>);
    reqwest::Body::wrap_stream(futures_util::stream::iter(chunks))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_json_within_the_bound_is_read() {
    let hub = Hub::start(Database::Sqlite).await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        "application/jsonx",
        "",
    ] {
        let request = hub
            .request(Method::POST, "devices")
            .bearer_auth(&hub.token)
            .header("Content-Type", kind)
            .body("{}");
        let error = hub.answer(request).await.refused(400);
        assert!(error.contains("Content-Type"), "{kind}: {error}");
    }
    for kind in [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=UTF-8",
        "application/json;charset=\"utf8\"",
        "application/json; odata=verbose; Charset='UTF8'",
    ] {
        let request = hub
            .request(Method::POST, "devices")
            .bearer_auth(&hub.token)
            .header("Content-Type", kind)
            // With a byte order mark, as some editors write it.
            .body("\u{feff}{}");
        hub.answer(request).await.created();
    }
    for path in BODIES.iter().chain(&["auth/token"]) {
        let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(10 * 1024 * 1024));
        let error = hub.post_raw(path, large).await.refused(400);
        assert!(
            error.starts_with("body: must have at most"),
            "{path}: {error}"
        );
    }
    // A request that is rejected before its body is read leaves the connection usable.
    for _ in 0..20 {
        let request = hub
            .request(Method::POST, "devices")
            .bearer_auth("nonsense")
            .header("Content-Type", "application/json")
            .body("x".repeat(3 * 1024 * 1024));
        hub.answer(request).await.refused(401);
        hub.get("devices").await.ok();
    }
    // However large it is, the client gets the answer and not a broken connection.
    let error = hub.post_raw("devices", "x".repeat(64 * 1024 * 1024)).await;
    assert!(error.refused(400).starts_with("body: must have at most"));
    let connection = hub.connect("tts").await;
    let error = hub
        .ingest(&connection, "x".repeat(10 * 1024 * 1024))
        .await
        .refused(400);
    assert!(error.contains("at most"), "{error}");
    hub.get("devices").await.ok();
}

async fn a_request_that_takes_too_long_is_put_off(database: Database) {
    let hub = Hub::start_with(database, &["--request-timeout-s", "1"]).await;
    let statement = match &hub.database {
        Database::Sqlite => "BEGIN IMMEDIATE",
        Database::Postgres(_) => "BEGIN; LOCK TABLE devices IN EXCLUSIVE MODE",
    };
    let held = Held::start(&hub.database_url(), statement).await;
    let answer = hub.post("devices", &json!({"id": "d"})).await;
    assert!(answer.headers.contains_key("retry-after"));
    let error = answer.refused(503);
    assert!(error.contains("took too long"), "{error}");
    // Only who changes something waits.
    hub.get("devices").await.ok();
    held.end().await;
    crate::eventually("the hub writes again", async || {
        let answer = hub.post("devices", &json!({"id": "e"})).await;
        (answer.status == 201).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_cannot_be_name_the_parameter_or_are_not_there() {
    let hub = Hub::start(Database::Sqlite).await;
    for path in ["data-tables", "integrations", "network-connections"] {
        for id in [
            "0",
            "-1",
            "x",
            "1.0",
            "99999999999999999999",
            "9007199254740992",
            "%00",
            "%ff",
            "1%2F2",
        ] {
            let answer = hub.get(&format!("{path}/{id}")).await;
            assert!(
                [400, 404].contains(&answer.status),
                "{path}/{id}: {}",
                answer.text
            );
        }
    }
    for id in [
        "a--b",
        "%00",
        "%ff",
        "a%20b",
        "x".repeat(64).as_str(),
        "..%2F..",
        "%ED%A0%80",
    ] {
        let answer = hub.get(&format!("devices/{id}")).await;
        assert!(
            [400, 404].contains(&answer.status),
            "devices/{id}: {}",
            answer.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_echo_nothing_secret() {
    let hub = Hub::start(Database::Sqlite).await;
    let secret = "hunter2-hunter2";
    let bodies = [
        (
            "auth/token",
            json!({"username": "admin", "password": [secret]}),
        ),
        (
            "auth/token",
            json!({"username": {"x": secret}, "password": secret}),
        ),
        (
            "integrations",
            json!({"name": "a", "selector": "", "target":
            {"type": "http", "url": "https://example.com", "authorization": format!("{secret}\n")}}),
        ),
    ];
    for (path, body) in bodies {
        let error = hub.post(path, &body).await.refused(400);
        assert!(!error.contains(secret), "{error}");
    }
    assert!(!hub.log().contains(secret));
}
