//! The forms in which network servers and those who write their own really post.

use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    database::{Database, on_both_databases},
    raw,
    server::{Answer, Connection, Hub, things_stack},
};

/// The headers of a request.
type Headers = [(&'static str, &'static str); 2];

on_both_databases!(
    each_form_is_taken,
    what_cannot_be_taken_is_refused_and_counted,
);

const EUI: &str = "AA00000000000001";

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Posts to the connection's webhook, with something behind its path.
async fn post(
    hub: &Hub,
    connection: &Connection,
    behind: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    let path = format!("network-connections/{}/uplinks{behind}", connection.id);
    let mut request = hub.request(Method::POST, &path).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !behind.contains("ingest_key") {
        request = request.bearer_auth(&connection.key);
    }
    hub.answer(request).await
}

async fn each_form_is_taken(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let taken = async |behind: &str, headers: &[(&str, &str)], write: &dyn Fn(&[u8]) -> Vec<u8>| {
        let message = things_stack(EUI);
        let body = write(message.as_bytes());
        let receipt = post(&hub, &connection, behind, headers, body).await.ok();
        assert_eq!(
            receipt["status"], "recorded",
            "{behind} {headers:?} {receipt}"
        );
    };
    let plain = |body: &[u8]| body.to_vec();
    taken("", &[], &plain).await;
    for kind in [
        "",
        "application/json; charset=UTF8",
        "application/json;charset=\"utf8\"",
        "application/json; charset='Utf-8'",
        "application/json; charset=us-ascii",
        "application/json; odata=verbose",
        "application/json;",
        "text/plain",
        "text/plain;charset=UTF-8",
        "text/json",
        "TEXT/HTML",
        "application/senml+json; charset=utf8",
    ] {
        taken("", &[("Content-Type", kind)], &plain).await;
    }
    let json = ("Content-Type", "application/json");
    let marked = |body: &[u8]| [b"\xef\xbb\xbf", body].concat();
    taken("", &[json], &marked).await;
    for name in ["gzip", "GZip", "x-gzip", "identity, gzip"] {
        taken("", &[json, ("Content-Encoding", name)], &gzip).await;
    }
    taken("", &[json, ("Content-Encoding", "identity")], &plain).await;
    for write in [&zlib as &dyn Fn(&[u8]) -> Vec<u8>, &deflate] {
        taken("", &[json, ("Content-Encoding", "deflate")], write).await;
    }
    let marked = |body: &[u8]| gzip(&[b"\xef\xbb\xbf", body].concat());
    taken("/", &[("Content-Encoding", "gzip")], &marked).await;
    taken("/", &[json], &plain).await;
    taken(&format!("/?ingest_key={}", connection.key), &[json], &plain).await;
    let path = format!("network-connections/{}", connection.id);
    let health = hub.get(&path).await.ok()["health"].clone();
    assert_eq!(health["malformed"], 0, "{health}");
    // A slash behind the path of anything else is another path.
    hub.get("devices/").await.refused(404);
}

async fn what_cannot_be_taken_is_refused_and_counted(database: Database) {
    let hub = Hub::start_with(database, &["--body-max-bytes", "100000"]).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let good = || things_stack(EUI).into_bytes();
    let spaces = |count: usize| [vec![b' '; count].as_slice(), &good()].concat();
    let short = |mut body: Vec<u8>| {
        body.truncate(body.len() - 9);
        body
    };
    let json = ("Content-Type", "application/json");
    let encoded = |name| [json, ("Content-Encoding", name)];
    let large = "body: must have at most 100000 bytes when it is uncompressed";
    let table: Vec<(Headers, Vec<u8>, &str)> = vec![
        // A bomb: 64 MiB in some kilobytes.
        (encoded("gzip"), gzip(&spaces(64 << 20)), large),
        (encoded("deflate"), zlib(&spaces(64 << 20)), large),
        (encoded("deflate"), deflate(&spaces(64 << 20)), large),
        (encoded("gzip"), gzip(&spaces(100_000)), large),
        (
            encoded("gzip"),
            vec![0; 100_001],
            "body: must have at most 100000 bytes",
        ),
        (encoded("gzip"), good(), "body: is not valid gzip"),
        (encoded("gzip"), Vec::new(), "body: is not valid gzip"),
        (
            encoded("gzip"),
            short(gzip(&good())),
            "body: is not valid gzip: it ends too early",
        ),
        (encoded("gzip"), gzip(b"{"), "body: is not valid JSON"),
        (
            encoded("gzip"),
            gzip(&gzip(&good())),
            "body: is not valid JSON",
        ),
        (encoded("deflate"), good(), "body: is not valid deflate"),
        (
            encoded("deflate"),
            short(zlib(&good())),
            "body: is not valid deflate",
        ),
        (
            encoded("gzip, gzip"),
            gzip(&gzip(&good())),
            "header Content-Encoding: must name one",
        ),
        (
            encoded("deflate, gzip"),
            gzip(&zlib(&good())),
            "header Content-Encoding: must name one",
        ),
        (
            encoded("br"),
            good(),
            "header Content-Encoding: must be gzip, deflate or identity",
        ),
        (
            [
                ("Content-Type", "application/json; charset=utf-16"),
                ("X-A", "b"),
            ],
            good(),
            "header Content-Type: must be application/json, with no charset but utf-8",
        ),
        (
            [
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("X-A", "b"),
            ],
            good(),
            "header Content-Type: must be",
        ),
    ];
    let path = format!("network-connections/{}", connection.id);
    for (count, (headers, body, expected)) in (1..).zip(table) {
        let answer = post(&hub, &connection, "", &headers, body).await;
        let error = answer.refused(400);
        assert!(error.starts_with(expected), "{headers:?}: {error}");
        let health = hub.get(&path).await.ok()["health"].clone();
        assert_eq!(health["malformed"], count, "{health}");
        assert_eq!(health["last_error"], error, "{health}");
    }
    let whole = gzip(&spaces(90_000));
    let receipt = post(&hub, &connection, "", &encoded("gzip"), whole)
        .await
        .ok();
    assert_eq!(receipt["status"], "recorded", "{receipt}");
    // Other operations take compressed JSON, too, within their own bound.
    let send = async |body: Vec<u8>| {
        let request = hub.request(Method::POST, "devices").bearer_auth(&hub.token);
        let request = request.header("Content-Type", "application/json");
        hub.answer(request.header("Content-Encoding", "gzip").body(body))
            .await
    };
    send(gzip(br#"{"id": "e"}"#)).await.created();
    let error = send(gzip(&vec![b' '; 64 << 20])).await.refused(400);
    assert_eq!(error, large);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_only_http_1_0_is_served() {
    let hub = Hub::start(Database::Sqlite).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    for (offered, expected) in [
        (&["http/1.0"][..], Some("http/1.0")),
        (&["http/1.0", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let mut stream = raw::open(&hub, offered).await.unwrap();
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(agreed.as_deref(), expected.map(str::as_bytes));
        let body = things_stack(EUI);
        let request = format!(
            "POST /api/v3/network-connections/{}/uplinks HTTP/1.0\r\nAuthorization: Bearer {}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            connection.id,
            connection.key,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200 "), "{answer}");
        let receipt: Value = serde_json::from_str(body).unwrap();
        assert_eq!(receipt["status"], "recorded", "{receipt}");
    }
    // A protocol that the hub does not speak is still refused.
    assert!(raw::open(&hub, &["spdy/3"]).await.is_err());
}
