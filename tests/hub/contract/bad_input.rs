//! Bad input for every field: a 400 that names the field and the rule. Devices have a file of their own,
//! `devices/refused.rs`.

use serde_json::{Value, json};

use crate::support::{database::Database, server::Hub};

/// The body with one member, by its pointer, put in or replaced.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value;
    body
}

/// Posts the body with each bad value; the error must begin with the field and hold the fragment.
pub async fn refuses(database: Database, path: &str, good: &Value, cases: &[(&str, Value, &str)]) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    assert_eq!(connection.id, 1);
    let mut wrong = Vec::new();
    for (pointer, value, fragment) in cases {
        let answer = hub.post(path, &with(good, pointer, value.clone())).await;
        let error = answer.body["error"].as_str().unwrap_or_default();
        let field = pointer.rsplit('/').next().unwrap();
        if answer.status != 400 || !error.contains(field) || !error.contains(fragment) {
            let shown: String = value.to_string().chars().take(60).collect();
            wrong.push(format!(
                "{pointer} = {shown}: wanted \"{fragment}\", got {}",
                answer.text
            ));
        }
    }
    // All that is there must be required or optional as the document says.
    assert!(wrong.is_empty(), "{path}:\n{}", wrong.join("\n"));
    hub.post(path, good).await.created();
}

pub fn long(length: usize) -> Value {
    "x".repeat(length).into()
}

pub fn labels(count: usize) -> Value {
    (0..count).map(|number| format!("l{number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn network_connections() {
    let good = json!({"name": "n", "enabled": true, "settings": {"type": "http", "mapping": {
        "device_id_pointer": "/id", "payload_pointer": "/p", "payload_encoding": "hex",
        "port_pointer": "/port", "time_pointer": "/t", "frame_counter_pointer": "/f"}}});
    let mut cases = vec![
        ("/name", json!(null), "must be a string"),
        ("/name", json!(""), "must have 1 to 120"),
        ("/name", long(121), "must have 1 to 120"),
        ("/name", json!("tts"), "has this name already"),
        ("/enabled", json!("true"), "boolean"),
        ("/enabled", json!(null), "boolean"),
        ("/settings", json!([]), "must be an object"),
        ("/settings", json!({}), ""),
        ("/settings", json!({"type": "nonsense"}), "the_things_stack"),
        ("/settings", json!({"type": 5}), ""),
        (
            "/settings",
            json!({"type": "the_things_stack", "x": 1}),
            "x",
        ),
        ("/settings/mapping/payload_encoding", json!("octal"), "hex"),
        ("/settings/nonsense", json!(1), "is unknown here"),
        ("/ingest_key", json!("mine"), "is unknown here"),
    ];
    for pointer in [
        "/settings/mapping/device_id_pointer",
        "/settings/mapping/payload_pointer",
        "/settings/mapping/port_pointer",
        "/settings/mapping/time_pointer",
        "/settings/mapping/frame_counter_pointer",
    ] {
        cases.extend([
            (pointer, json!(5), "must be a string"),
            (pointer, json!("no-slash"), "JSON pointer"),
            (pointer, json!("/a~2"), "JSON pointer"),
            (
                pointer,
                format!("/{}", "x".repeat(200)).into(),
                "must have 0 to 200",
            ),
        ]);
    }
    refuses(Database::Sqlite, "network-connections", &good, &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_tables() {
    let good = json!({"name": "n", "description": "", "selector": "a=b", "columns": [
        {"path": "door.open", "type": "boolean", "unit": "x"}]});
    let columns: Value = (0..257)
        .map(|number| json!({"path": format!("p{number}"), "type": "json"}))
        .collect();
    let twice = json!([{"path": "a", "type": "json"}, {"path": "a", "type": "number"}]);
    let cases = [
        ("/name", json!(""), "must have 1 to 120"),
        ("/name", json!(7), "must be a string"),
        ("/description", json!("\u{1}"), "control characters"),
        ("/selector", json!(null), "must be a string"),
        ("/selector", json!("a,"), "column"),
        ("/selector", json!("(a"), "column"),
        ("/selector", json!("a in ()"), "column"),
        ("/selector", "a,".repeat(2500).into(), "must have 0 to 4096"),
        ("/columns", json!({}), "must be an array"),
        ("/columns", json!([]), "must have 1 to 256 items"),
        ("/columns", columns, "must have 1 to 256 items"),
        ("/columns", twice, "unique"),
        ("/columns/0/path", json!(""), "must have 1 to 200"),
        ("/columns/0/path", long(201), "must have 1 to 200"),
        ("/columns/0/path", json!("a\0"), "control characters"),
        ("/columns/0/type", json!("date"), "number"),
        ("/columns/0/unit", json!(""), "must have 1 to 120"),
        ("/columns/0/nonsense", json!(1), "is unknown here"),
        ("/retention", json!(1), "is unknown here"),
        (
            "/retention_days",
            json!(0),
            "must be an integer from 1 to 36500",
        ),
        (
            "/retention_days",
            json!(36_501),
            "must be an integer from 1 to 36500",
        ),
        ("/retention_days", json!("90"), "must be an integer"),
        ("/retention_days", json!(1.5), "must be an integer"),
    ];
    refuses(Database::Sqlite, "data-tables", &good, &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn integrations() {
    let good = json!({"name": "n", "description": "", "selector": "", "enabled": true,
        "target": {"type": "http", "url": "https://example.com/a", "authorization": "Bearer x"}});
    let cases = [
        ("/name", json!(""), "must have 1 to 120"),
        ("/description", long(2001), "must have 0 to 2000"),
        ("/selector", json!("a b c ("), "column"),
        ("/selector", json!(5), "must be a string"),
        ("/enabled", json!(1), "boolean"),
        (
            "/target",
            json!("https://example.com/"),
            "must be an object",
        ),
        ("/target", json!({"type": "ftp"}), "http"),
        ("/target", json!({"type": "http"}), "url"),
        (
            "/target/url",
            json!("ftp://example.com/"),
            "http:// or https://",
        ),
        ("/target/url", json!("https://"), "http:// or https://"),
        ("/target/url", json!("https://a b/"), "http:// or https://"),
        ("/target/url", json!("nonsense"), "http:// or https://"),
        (
            "/target/url",
            format!("https://a/{}", "x".repeat(2000)).into(),
            "must have 8 to 2000",
        ),
        ("/target/authorization", json!(""), "must have 1 to 4096"),
        (
            "/target/authorization",
            json!("a\r\nX-Evil: 1"),
            "visible ASCII",
        ),
        ("/target/authorization", json!("ü"), "visible ASCII"),
        ("/target/method", json!("get"), "post"),
        ("/target/verb", json!("put"), "is unknown here"),
        (
            "/target/headers",
            json!([{"name": "Host", "value": "x"}]),
            "does not set itself",
        ),
        (
            "/target/headers",
            json!([{"name": "Webhook-Signature", "value": "x"}]),
            "does not set itself",
        ),
        (
            "/target/headers",
            json!([{"name": "X-A", "value": "a\r\nb"}]),
            "visible ASCII",
        ),
        (
            "/target/auth",
            json!({"type": "ntlm"}),
            "must be one of none",
        ),
        ("/target/auth", json!({"type": "basic"}), "username"),
        (
            "/target/auth",
            json!({"type": "bearer", "token": "x"}),
            "cannot be combined with target.auth",
        ),
        ("/target/signing_secret", json!("whsec_abc"), "must have 38"),
        ("/payload", json!({"type": "xml"}), "must be one of native"),
        (
            "/payload",
            json!({"type": "template", "template": "{% if %}", "content_type": "text/plain"}),
            "line 1",
        ),
        (
            "/payload",
            json!({"type": "template", "template": "a", "content_type": "text"}),
            "media type",
        ),
        ("/id", json!(1), "is unknown here"),
    ];
    refuses(Database::Sqlite, "integrations", &good, &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers() {
    let device = json!({"manufacturer": "m", "model": "x", "firmware_version": "1"});
    let good = json!({"author": "a", "name": "b", "tags": ["1.0.0", "1"], "description": "",
        "script": "function decode() { return {} }", "supports": [device], "labels": ["a"]});
    let cases = [
        ("/author", json!(""), "must have 1 to 63"),
        ("/author", json!("-a"), "letters, digits, dots"),
        ("/author", json!("a/b"), "letters, digits, dots"),
        ("/name", json!("a b"), "letters, digits, dots"),
        ("/name", json!(5), "must be a string"),
        ("/tags", json!([]), "must have 1 to 16 items"),
        ("/tags", labels(17), "must have 1 to 16 items"),
        ("/tags", json!([1]), "must be a string"),
        ("/tags", json!(["a:b"]), "letters, digits, dots"),
        ("/script", json!(""), "must have 1 to 1048576"),
        ("/script", long(1_048_577), "must have 1 to 1048576"),
        ("/script", json!("var a = '\0'"), "NUL"),
        ("/script", json!(5), "must be a string"),
        ("/description", json!(5), "must be a string"),
        ("/supports", json!({}), "must be an array"),
        ("/supports/0/manufacturer", json!(""), "must have 1 to 120"),
        ("/supports/0/model", json!(null), "must be a string"),
        ("/supports/0/nonsense", json!(1), "is unknown here"),
        ("/labels", json!(["a;b"]), "letters and digits"),
        ("/digest", json!("x"), "is unknown here"),
    ];
    refuses(Database::Sqlite, "drivers", &good, &cases).await;
}
