//! Pages of other origins (CORS): what a browser is told before a request, and with every response.

use std::collections::BTreeSet;

use reqwest::{Method, header::HeaderMap};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    contract::document::operations,
    support::{
        database::Database,
        server::{Answer, Hub},
    },
};

const APP: &str = "https://app.example.com";
const ORIGINS: [&str; 2] = [
    "--cors-origins",
    "https://app.example.com, http://localhost:5173",
];

async fn ask(hub: &Hub, path: &str, origin: &str, method: &str) -> Answer {
    let request = hub
        .request(Method::OPTIONS, path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", "authorization,if-match");
    hub.answer(request).await
}

/// The origin that may read a response, if any.
fn reader(headers: &HeaderMap) -> Option<&str> {
    assert!(!headers.contains_key("access-control-allow-credentials"));
    let origin = headers.get("access-control-allow-origin")?;
    Some(origin.to_str().unwrap())
}

fn lists(headers: &HeaderMap, header: &str, expected: &[&str]) {
    let list = list(headers, header);
    for name in expected {
        assert!(
            list.contains(&name.to_ascii_lowercase()),
            "{header}: {list:?}"
        );
    }
}

/// The names that a header lists.
fn list(headers: &HeaderMap, header: &str) -> BTreeSet<String> {
    let list = headers[header].to_str().unwrap();
    list.split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}

/// The headers that the documentation tells in the row of its table with this name.
fn documented(row: &str) -> BTreeSet<String> {
    let page = include_str!("../../../docs/browsers.md");
    let row = page
        .lines()
        .find_map(|line| line.strip_prefix(&format!("| {row} |")));
    let names = row.unwrap().split('`').skip(1).step_by(2);
    names.map(str::to_ascii_lowercase).collect()
}

/// True if the response differs by the origin of the page. Compressed pages differ by another header as well.
fn varies(headers: &HeaderMap) -> bool {
    headers
        .get_all("vary")
        .iter()
        .any(|value| value == "Origin")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_no_page_is_told_anything() {
    let hub = Hub::start(Database::Sqlite).await;
    let asked = ask(&hub, "devices", APP, "GET").await;
    assert_eq!(asked.status, 404);
    let read = hub.answer(hub.request(Method::GET, "devices").header("Origin", APP));
    for answer in [asked, read.await] {
        assert_eq!(reader(&answer.headers), None);
        assert!(!answer.headers.contains_key("vary"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_page_may_run_every_operation() {
    let sent = documented("request headers");
    let hub = Hub::start_with(Database::Sqlite, &ORIGINS).await;
    let pages = ["/openapi.json", "/openapi.yaml", "/docs", "/docs/reference"];
    let pages = pages.map(|path| (Method::GET, path.to_owned()));
    let operations = operations()
        .into_iter()
        .map(|(method, path, _)| (method, path));
    for (method, path) in operations.chain(pages) {
        let answer = ask(&hub, &path, APP, method.as_str()).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
        assert_eq!(answer.text, "");
        let headers = &answer.headers;
        assert_eq!(reader(headers), Some(APP));
        assert!(varies(headers), "{headers:?}");
        assert_eq!(headers["access-control-max-age"], "7200");
        lists(headers, "access-control-allow-methods", &[method.as_str()]);
        assert_eq!(list(headers, "access-control-allow-headers"), sent);
        // Pages of others, and methods that the path does not take, get the answer of any such request.
        for (origin, method) in [
            ("https://evil.example.com", method.as_str()),
            ("https://app.example.com.evil.example", method.as_str()),
            ("http://app.example.com", method.as_str()),
            ("null", method.as_str()),
            (APP, "PATCH"),
            (APP, "OPTIONS"),
        ] {
            let answer = ask(&hub, &path, origin, method).await;
            assert_eq!(answer.status, 404, "{origin} {method} {path}");
            let allowed = (origin == APP).then_some(APP);
            assert_eq!(reader(&answer.headers), allowed, "{origin} {method} {path}");
        }
    }
    for (path, method) in [
        ("/nowhere", "GET"),
        ("/api/v3/", "GET"),
        ("/api/v3/devices/", "GET"),
        ("/api/v3/devices/import", "PUT"),
        ("/api/v3/devices", "DELETE"),
    ] {
        assert_eq!(ask(&hub, path, APP, method).await.status, 404, "{path}");
    }
    // Without a method it is no question of a browser.
    let bare = hub
        .request(Method::OPTIONS, "devices")
        .header("Origin", APP);
    assert_eq!(hub.answer(bare).await.status, 404);
    let other = ask(&hub, "devices", "http://localhost:5173", "POST").await;
    assert_eq!(reader(&other.headers), Some("http://localhost:5173"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_page_reads_every_answer() {
    let read = documented("readable response headers");
    let hub = Hub::start_with(Database::Sqlite, &ORIGINS).await;
    for (method, path, token, status) in [
        (Method::GET, "devices", hub.token.as_str(), 200),
        (Method::HEAD, "devices", hub.token.as_str(), 200),
        (Method::GET, "devices?colour=red", hub.token.as_str(), 400),
        (Method::GET, "devices/nobody", hub.token.as_str(), 404),
        (Method::GET, "devices", "wrong", 401),
        (Method::GET, "/nowhere", "wrong", 404),
        (Method::PATCH, "devices", "wrong", 404),
        (Method::GET, "/livez", "wrong", 200),
        (Method::GET, "/openapi.json", "wrong", 200),
    ] {
        let request = || hub.request(method.clone(), path).bearer_auth(token);
        let answer = hub.answer(request().header("Origin", APP)).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert_eq!(reader(&answer.headers), Some(APP), "{method} {path}");
        assert_eq!(list(&answer.headers, "access-control-expose-headers"), read);
        // A cache must not give the one to the other.
        let others = request().header("Origin", "https://evil.example.com");
        for request in [request(), others] {
            let answer = hub.answer(request).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text);
            assert!(varies(&answer.headers), "{:?}", answer.headers);
            assert_eq!(reader(&answer.headers), None, "{method} {path}");
        }
    }
    let mut stream = TcpStream::connect(&hub.address).await.unwrap();
    let plain =
        format!("GET /livez HTTP/1.1\r\nHost: a\r\nOrigin: {APP}\r\nConnection: close\r\n\r\n");
    stream.write_all(plain.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let allowed = format!("access-control-allow-origin: {APP}\r\n");
    assert!(answer.contains(&allowed), "{answer}");
}
