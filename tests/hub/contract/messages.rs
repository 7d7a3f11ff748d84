//! The messages that receivers get, as the document and its page describe them.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::document::document;
use crate::{
    repository,
    support::{
        database::Database,
        messages::{self, fault, schema_of, schema_of_kind},
        server::Hub,
        sink::Sink,
    },
};

fn page() -> String {
    std::fs::read_to_string(repository("docs/messages.md")).unwrap()
}

/// The samples of the page with the kinds of their messages.
fn samples(page: &str) -> Vec<(&str, Value)> {
    page.split("<!-- message: ")
        .skip(1)
        .map(|part| {
            let (kind, rest) = part.split_once(" -->\n```json\n").unwrap();
            let (text, _) = rest.split_once("\n```").unwrap();
            (kind, serde_json::from_str(text).unwrap())
        })
        .collect()
}

#[test]
fn every_sample_of_the_page_is_a_message_of_its_kind() {
    let page = page();
    let samples = samples(&page);
    assert_eq!(
        samples.len(),
        page.matches("```json").count(),
        "a sample without its kind"
    );
    for (kind, sample) in &samples {
        let message = match *kind {
            "templated" => continue,
            "cloud_event" => &sample["data"],
            _ => sample,
        };
        assert_eq!(fault(message), None, "{kind}");
        if *kind != "cloud_event" {
            assert_eq!(schema_of(message), schema_of_kind(kind), "{kind}");
        }
    }
    let shown: BTreeSet<&str> = samples.iter().map(|(kind, _)| *kind).collect();
    let kinds = document()["x-webhooks"].as_object().unwrap().clone();
    let kinds: BTreeSet<&str> = kinds.keys().map(String::as_str).collect();
    assert_eq!(shown, kinds);
}

#[test]
fn the_page_names_every_member_header_and_kind() {
    let (page, document) = (page(), document());
    let schemas = &document["components"]["schemas"];
    let mut waiting: Vec<String> = Vec::new();
    let mut names = BTreeSet::new();
    for (kind, methods) in document["x-webhooks"].as_object().unwrap() {
        names.insert(kind.clone());
        references(&methods["post"]["requestBody"], &mut waiting);
    }
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let schema = &schemas[&name];
        let properties = schema["properties"].as_object().into_iter().flatten();
        names.extend(properties.map(|(property, _)| property.clone()));
        references(schema, &mut waiting);
    }
    for parameter in document["components"]["parameters"]
        .as_object()
        .unwrap()
        .values()
    {
        let name = parameter["name"].as_str().unwrap();
        if name.starts_with("Webhook-") {
            names.insert(name.to_owned());
        }
    }
    assert!(names.len() > 50, "{names:?}");
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "docs/messages.md lacks {missing:?}");
}

#[test]
fn every_kind_of_message_is_described_and_refers_to_what_is_there() {
    let document = document();
    let mut operation_ids = BTreeSet::new();
    for (kind, methods) in document["x-webhooks"].as_object().unwrap() {
        let methods = methods.as_object().unwrap();
        assert_eq!(methods.keys().collect::<Vec<_>>(), ["post"], "{kind}");
        let operation = &methods["post"];
        for member in ["operationId", "summary", "description"] {
            let text = operation[member].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{kind}: {member}");
        }
        assert!(operation_ids.insert(operation["operationId"].to_string()));
        let statuses = operation["responses"].as_object().unwrap();
        for status in ["2XX", "3XX", "4XX", "5XX", "429", "503"] {
            assert!(statuses.contains_key(status), "{kind}: {status}");
        }
        let parameters = operation["parameters"].as_array().unwrap().iter();
        for reference in parameters.chain(statuses.values()) {
            let pointer = reference["$ref"].as_str().unwrap().trim_start_matches('#');
            let shared = document.pointer(pointer).expect(pointer);
            assert!(shared["description"].is_string(), "{pointer}");
        }
    }
    for (_, operation) in document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|methods| methods.as_object().unwrap())
    {
        assert!(operation_ids.insert(operation["operationId"].to_string()));
    }
}

/// Adds the names of the schemas that this refers to.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let reference = object.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|it| it.strip_prefix("#/components/schemas/"));
            found.extend(name.map(ToOwned::to_owned));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// An integration may ask for no type of event whose messages nobody describes.
#[test]
fn every_type_of_event_has_a_message() {
    let document = document();
    let types = document["components"]["schemas"]["EventType"]["enum"].clone();
    let of_examples: BTreeSet<&str> = messages::examples()
        .iter()
        .filter_map(|(_, _, example)| example["event"].as_str())
        .chain(["data", "raw"])
        .filter(|name| *name != "test")
        .collect();
    let types: BTreeSet<&str> = types
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(types, of_examples);
}

/// Runs the program of the page; true if it takes the message.
fn verified(secret: &str, headers: [&str; 3], body: &str) -> bool {
    let page = page();
    let (_, rest) = page.split_once("```python\n").unwrap();
    let (program, _) = rest.split_once("\n```").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), program).unwrap();
    let mut child = Command::new("python3")
        .arg(file.path())
        .arg(secret)
        .args(headers)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(body.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_refused = words.contains("ValueError");
    assert!(output.status.success() != is_refused, "{words}");
    output.status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_of_the_page_verifies_signatures() {
    let hub = Hub::start_with(Database::Sqlite, &["--outgoing-allow", "127.0.0.0/8"]).await;
    let sink = Sink::willing().await;
    let id = hub.integration("erp", "", &sink.url).await;
    let path = format!("integrations/{id}/key");
    let made = hub.post(&path, &json!({})).await.created();
    let secret = made["key"].as_str().unwrap();
    let path = format!("integrations/{id}/test");
    hub.post(&path, &json!({})).await.ok();
    let received = sink.gets(1).await.remove(0);
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers = headers.map(|name| received.header(name));
    assert!(verified(secret, headers, &received.text));
    let [id, timestamp, signature] = headers;
    assert!(!verified(
        secret,
        headers,
        &received.text.replace("test", "best")
    ));
    assert!(!verified(
        "whsec_bm90IHRoZSBzZWNyZXQ=",
        headers,
        &received.text
    ));
    let earlier = (timestamp.parse::<i64>().unwrap() - 1).to_string();
    assert!(!verified(secret, [id, &earlier, signature], &received.text));
    assert!(!verified(
        secret,
        [id, "1600000000", signature],
        &received.text
    ));
}
