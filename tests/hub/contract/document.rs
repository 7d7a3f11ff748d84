//! Rules that hold for every operation of the document.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    repository,
    support::{
        database::{Database, on_both_databases},
        server::{Hub, PASSWORD},
    },
};

on_both_databases!(logging_in_and_out);

/// The operations of the committed document: method, path with values in place, what it says.
pub fn operations() -> Vec<(Method, String, Value)> {
    let mut found = Vec::new();
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            found.push((method, filled(path), operation.clone()));
        }
    }
    found
}

pub fn document() -> Value {
    let text = std::fs::read_to_string(repository("openapi/openapi.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn filled(path: &str) -> String {
    let id = if path.contains("/devices/") && !path.contains("/import/") {
        "no-such"
    } else {
        "999999"
    };
    path.replace("{id}", id)
        .replace("{author}", "no")
        .replace("{name}", "such")
        .replace("{tag}", "1")
        .replace("{digest}", &format!("sha256:{}", "0".repeat(64)))
        .replace("{label}", "x")
        .replace("{downlink_id}", "0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11")
        .replace("{delivery_id}", "0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11")
        .replace("{replay_id}", "999999")
        .replace("{fill_id}", "999999")
        .replace("{export_id}", "999999")
        .replace("{number}", "999999")
        .replace("{import_id}", "999999")
}

pub fn needs_token(operation: &Value) -> bool {
    operation["security"][0].get("token").is_some()
}

fn is_open(operation: &Value) -> bool {
    operation["security"].as_array().is_some_and(Vec::is_empty)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_document_does_not_declare_is_not_there() {
    let hub = Hub::start(Database::Sqlite).await;
    let methods = [
        "GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "QUERY",
    ];
    let declared: BTreeSet<(String, String)> = operations()
        .into_iter()
        .map(|(method, path, _)| (path, method.to_string()))
        .collect();
    let mut paths: BTreeSet<&str> = declared.iter().map(|(path, _)| path.as_str()).collect();
    paths.extend([
        "/docs/nothing",
        "/api",
        "/api/v3",
        "/api/v3/",
        "/api/v3/no-such",
        "/api/v2/devices",
        "/api/v3/devices/",
    ]);
    for path in paths {
        for method in methods {
            let is_head_of_get =
                method == "HEAD" && declared.contains(&(path.to_owned(), "GET".to_owned()));
            if declared.contains(&(path.to_owned(), method.to_owned())) || is_head_of_get {
                continue;
            }
            let answer = hub.call(method.parse().unwrap(), path, None).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_valid_token_every_secured_operation_is_a_401() {
    let hub = Hub::start(Database::Sqlite).await;
    let mut secured = 0;
    for (method, path, operation) in operations() {
        if is_open(&operation) {
            continue;
        }
        secured += 1;
        let plain = || hub.request(method.clone(), &path);
        for request in [
            plain(),
            plain().bearer_auth("nonsense"),
            plain().header("Authorization", "Basic YWRtaW46eA=="),
            plain().header("Authorization", "Bearer "),
            // A bad body or an unknown parameter does not hide the missing log-in.
            plain().header("Content-Type", "text/plain").body("{"),
            hub.request(method.clone(), &format!("{path}?nonsense=1")),
        ] {
            let answer = hub.answer(request).await;
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text);
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    assert!(secured >= 35, "{secured}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_query_parameters_are_named() {
    let hub = Hub::start(Database::Sqlite).await;
    for (method, path, operation) in operations() {
        let mut request = hub.request(method.clone(), &format!("{path}?nonsense=1"));
        if needs_token(&operation) {
            request = request.bearer_auth(&hub.token);
        } else if !is_open(&operation) {
            continue;
        }
        let answer = hub.answer(request).await;
        assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text);
        assert!(
            answer.text.contains("nonsense"),
            "{method} {path}: {}",
            answer.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_a_404_everywhere() {
    let hub = Hub::start(Database::Sqlite).await;
    for (method, path, operation) in operations() {
        let is_there =
            !path.contains("no-such") && !path.contains("999999") && !path.contains("/no/");
        if is_there || !needs_token(&operation) || method == Method::PUT {
            continue;
        }
        let query = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|parameter| parameter["in"] == "query" && parameter["required"] == true)
            .map(|parameter| {
                let example = parameter["example"].as_str().unwrap_or("x");
                format!("?{}={example}", parameter["name"].as_str().unwrap())
            });
        let path = format!("{path}{}", query.unwrap_or_default());
        let examples =
            operation["requestBody"]["content"]["application/json"]["examples"].as_object();
        let body = examples
            .and_then(|examples| examples.values().next())
            .map(|example| &example["value"]);
        let content = &operation["requestBody"]["content"];
        let answer = if content["application/octet-stream"].is_object() {
            let request = hub.request(method.clone(), &path).bearer_auth(&hub.token);
            let file = request.header("Content-Type", "application/octet-stream");
            hub.answer(file.body("x")).await
        } else {
            hub.call(method.clone(), &path, body).await
        };
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_told_to_use_https() {
    let hub = Hub::start(Database::Sqlite).await;
    // Only a proxy that is trusted may say that it has taken the request over TLS.
    let proxied = "X-Forwarded-Proto: https\r\n";
    for (path, headers) in [
        ("/api/v3/devices", ""),
        ("/livez", ""),
        ("/no-such", ""),
        ("/livez", proxied),
    ] {
        let answer = ask_in_plain(&hub, path, headers).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert!(head.to_lowercase().contains("x-request-id: "), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"], 400);
        assert!(body["error"].as_str().unwrap().contains("https"), "{body}");
    }
    let trusts = ["--trusted-proxies", "127.0.0.1"];
    let hub = Hub::start_with(Database::Sqlite, &trusts).await;
    for (protocol, status) in [("https", 200), ("http", 400), ("", 400)] {
        let header = format!("X-Forwarded-Proto: {protocol}\r\n");
        let answer = ask_in_plain(&hub, "/livez", &header).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{protocol}: {answer}");
    }
}

/// Returns the response to a request without TLS that has these headers.
async fn ask_in_plain(hub: &Hub, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(&hub.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: hub\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn logging_in_and_out(database: Database) {
    let hub = Hub::start(database).await;
    let wrong = json!({"code": 400, "error": "invalid credentials"});
    for (username, password) in [
        ("admin", "nonsense"),
        ("nobody", PASSWORD),
        ("nobody", "nonsense"),
    ] {
        let body = json!({"username": username, "password": password});
        let answer = hub.post("auth/token", &body).await;
        assert_eq!((answer.status, &answer.body), (400, &wrong));
    }
    let id = hub.get("users/me").await.ok()["id"].clone();
    let person =
        json!({"role": "admin", "full_name": "Ada", "email": "a@example.com", "country": "UK"});
    hub.put(&format!("users/{id}"), &person).await.ok();
    let body = json!({"username": "Admin", "password": PASSWORD});
    let login = hub.post("auth/token", &body).await.ok();
    let names: Vec<&String> = login["User"].as_object().unwrap().keys().collect();
    let expected = [
        "id",
        "username",
        "full_name",
        "email",
        "country",
        "password",
        "created_at",
        "updated_at",
        "last_login_at",
    ];
    assert!(
        expected
            .iter()
            .all(|name| names.iter().any(|found| found == name)),
        "{names:?}"
    );
    assert_eq!(login["User"]["password"], "");
    let token = login["token"].as_str().unwrap();
    assert_eq!((token.len(), token.ends_with('=')), (44, true), "{token}");

    let who = hub.request(Method::GET, "auth/token").bearer_auth(token);
    let shown = hub.answer(who).await.ok();
    let own = hub.get("users/me").await.ok();
    for name in expected {
        if name != "password" {
            assert_eq!(shown["User"][name], own[name], "{name}");
            assert_eq!(login["User"][name], own[name], "{name}");
        }
    }
    let out = hub.request(Method::DELETE, "auth/token").bearer_auth(token);
    hub.answer(out).await.ok();
    let who = hub.request(Method::GET, "auth/token").bearer_auth(token);
    hub.answer(who).await.refused(401);
    hub.get("auth/token").await.ok();
}

#[test]
fn the_page_on_errors_lists_every_reason() {
    let page = std::fs::read_to_string(repository("docs/errors.md")).unwrap();
    for reason in document()["x-error-reasons"].as_array().unwrap() {
        let text = |name: &str| reason[name].as_str().unwrap();
        let (word, cause) = (text("reason"), text("cause"));
        let row = format!("| `{word}` | {} | {cause} |", reason["status"]);
        assert!(page.contains(&row), "{row}");
    }
}

/// Sentences that begin with "Must" beside the rule of the type, because they say something else.
const OTHER_RULES: [&str; 2] = [
    "Must not be blank.",
    "Must not be combined with `shared_access_key`.",
];

#[test]
fn descriptions_give_each_rule_once() {
    let mut found = Vec::new();
    let count = each_description(&document(), &mut |text| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let sentences = text.split_inclusive(". ").map(str::trim);
        let rules = sentences.filter(|it| it.starts_with("Must") && !OTHER_RULES.contains(it));
        if rules.count() > 1 {
            found.push(text);
        }
    });
    assert!(count > 2000, "{count} descriptions");
    assert!(found.is_empty(), "rules given twice: {found:#?}");
}

/// Calls `look` with each description of the document, and returns their number.
fn each_description(document: &Value, look: &mut impl FnMut(&str)) -> usize {
    match document {
        Value::Object(members) => {
            let own = members.get("description").and_then(Value::as_str);
            own.inspect(|text| look(text));
            let inner = members.values().map(|value| each_description(value, look));
            usize::from(own.is_some()) + inner.sum::<usize>()
        }
        Value::Array(items) => items.iter().map(|item| each_description(item, look)).sum(),
        _ => 0,
    }
}
