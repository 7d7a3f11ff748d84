//! Holds every message that a receiver gets to the document's schemas, with no member more and none less.
//!
//! Receivers call it for each message, so that no test can let an undescribed message pass. Only a message that a
//! template made is free; the test says so.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::Validator;
use poem::http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::contract::document::document;

/// Media type of messages in the native output format.
pub const JSON: &str = "application/json";
/// Media type of CloudEvents.
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";
/// Kind of messages that templates make.
const TEMPLATED: &str = "templated";

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::read(&document()));

/// Schemas of messages, from the document.
struct Contract {
    /// Schemas of the messages in the native output format, by name. Two kinds of messages may share one.
    native: BTreeMap<String, Validator>,
    cloud_event: Validator,
    /// Headers that start with `webhook-`, in lower case: whether they are required, and their schema.
    headers: BTreeMap<String, (bool, Value)>,
    /// Schema of each kind of message.
    kinds: BTreeMap<String, String>,
    /// Examples of each kind of message, with their media type.
    examples: Vec<(String, String, Value)>,
}

/// Returns what is wrong with a message in the native output format.
pub fn fault(message: &Value) -> Option<String> {
    CONTRACT.native_fault(message)
}

/// Returns what is wrong with a message that is sent with these headers, and with the headers.
pub fn fault_of_request(headers: &HeaderMap, text: &str, is_templated: bool) -> Option<String> {
    let wrong = CONTRACT.headers_fault(headers);
    if wrong.is_some() || is_templated {
        return wrong;
    }
    let content_type = headers.get("content-type").and_then(|it| it.to_str().ok());
    let message: Value = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => return Some(format!("no JSON: {error}: {text}")),
    };
    match content_type {
        Some(JSON) => CONTRACT.native_fault(&message),
        Some(CLOUD_EVENT) => CONTRACT.cloud_event_fault(&message),
        other => Some(format!("no message has the media type {other:?}")),
    }
}

/// Returns what is wrong with a record of Kafka.
pub fn fault_of_record(headers: &BTreeMap<String, Vec<u8>>, value: &[u8]) -> Option<String> {
    let header = |name: &str| {
        let value = headers.get(name)?;
        std::str::from_utf8(value).ok()
    };
    let names: Vec<&str> = headers.keys().map(String::as_str).collect();
    if names != ["content-type", "delivery_id", "event"] {
        return Some(format!("the headers {names:?}"));
    }
    if header("content-type") != Some(JSON) {
        return Some(format!("the media type {:?}", header("content-type")));
    }
    let id = header("delivery_id").and_then(|id| uuid::Uuid::parse_str(id).ok());
    let Ok(message) = serde_json::from_slice::<Value>(value) else {
        return Some("no JSON".to_owned());
    };
    let is_of_event = match header("event") {
        Some("data" | "raw") => matches!(message["event"].as_str(), None | Some("test")),
        event => message["event"].as_str() == event,
    };
    if id.is_none() || !is_of_event {
        return Some(format!("the headers {headers:?} of {message}"));
    }
    CONTRACT.native_fault(&message)
}

/// Fails unless this is a message in the native output format, and gives it.
pub fn checked(text: &str) -> Value {
    let message = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    if let Some(fault) = fault(&message) {
        panic!("{fault}");
    }
    message
}

/// The examples of the document with their kind and media type.
pub fn examples() -> &'static [(String, String, Value)] {
    &CONTRACT.examples
}

/// Name of the schema that a message in the native output format fits.
pub fn schema_of(message: &Value) -> Option<&'static str> {
    let mut fitting = CONTRACT
        .native
        .iter()
        .filter(|(_, schema)| schema.is_valid(message));
    let (name, _) = fitting.next()?;
    fitting.next().is_none().then_some(name.as_str())
}

/// Name of the schema of a kind of message; `None` if it has none.
pub fn schema_of_kind(kind: &str) -> Option<&'static str> {
    CONTRACT.kinds.get(kind).map(String::as_str)
}

impl Contract {
    fn read(document: &Value) -> Self {
        let mut components = json!({"schemas": document["components"]["schemas"]});
        translate(&mut components);
        let validator = |schema: &Value| {
            let mut schema = schema.clone();
            translate(&mut schema);
            schema["components"] = components.clone();
            let options = jsonschema::options().should_validate_formats(true);
            options.build(&schema).unwrap()
        };
        let mut contract = Self {
            native: BTreeMap::new(),
            cloud_event: validator(&json!({"$ref": "#/components/schemas/CloudEvent"})),
            headers: BTreeMap::new(),
            kinds: BTreeMap::new(),
            examples: Vec::new(),
        };
        let webhooks = document["x-webhooks"].as_object();
        for (kind, methods) in webhooks.expect("make openapi: x-webhooks are missing") {
            let operation = &methods["post"];
            for parameter in operation["parameters"].as_array().unwrap() {
                let pointer = parameter["$ref"].as_str().unwrap().trim_start_matches('#');
                let parameter = document.pointer(pointer).unwrap();
                contract.headers.insert(
                    parameter["name"].as_str().unwrap().to_lowercase(),
                    (parameter["required"] == true, parameter["schema"].clone()),
                );
            }
            let contents = operation["requestBody"]["content"].as_object().unwrap();
            for (media_type, content) in contents {
                for example in content["examples"].as_object().unwrap().values() {
                    let example = example["value"].clone();
                    contract
                        .examples
                        .push((kind.clone(), media_type.clone(), example));
                }
                if kind == TEMPLATED {
                    continue;
                }
                let reference = content["schema"]["$ref"].as_str().unwrap();
                let name = reference.rsplit('/').next().unwrap().to_owned();
                contract.kinds.insert(kind.clone(), name.clone());
                if media_type == JSON {
                    let schema = validator(&content["schema"]);
                    contract.native.insert(name, schema);
                }
            }
        }
        contract
    }

    fn native_fault(&self, message: &Value) -> Option<String> {
        let fitting = |(_, schema): &(&String, &Validator)| schema.is_valid(message);
        let fitting: Vec<&str> = self
            .native
            .iter()
            .filter(fitting)
            .map(|(name, _)| name.as_str())
            .collect();
        match fitting[..] {
            [_] => None,
            [] => Some(format!("{}\nin {message}", self.nearest(message))),
            _ => Some(format!("{fitting:?} all fit {message}")),
        }
    }

    /// Faults by the schema that has the fewest complaints.
    fn nearest(&self, message: &Value) -> String {
        let complaints = self.native.iter().map(|(name, schema)| {
            let complaint =
                |error: jsonschema::ValidationError| format!("{}: {error}", error.instance_path());
            let complaints: Vec<String> = schema.iter_errors(message).map(complaint).collect();
            (name, complaints)
        });
        let (name, complaints) = complaints
            .min_by_key(|(_, complaints)| complaints.len())
            .unwrap();
        format!("by {name}: {}", complaints.join("; "))
    }

    fn cloud_event_fault(&self, event: &Value) -> Option<String> {
        let wrong = self.cloud_event.iter_errors(event).next();
        if let Some(wrong) = wrong {
            return Some(format!("a CloudEvent: {wrong}\nin {event}"));
        }
        let data = &event["data"];
        let inner = match event["type"].as_str().unwrap() {
            "thingshub.data" | "thingshub.raw" => data.get("event").is_none(),
            kind => data["event"].as_str() == kind.strip_prefix("thingshub."),
        };
        if !inner {
            return Some(format!("the type and the data do not fit: {event}"));
        }
        self.native_fault(data)
    }

    /// All headers of the hub's own are described, and the required ones are there.
    fn headers_fault(&self, headers: &HeaderMap) -> Option<String> {
        for (name, (is_required, _)) in &self.headers {
            if *is_required && !headers.contains_key(name) {
                return Some(format!("no header {name}"));
            }
        }
        for (name, value) in headers {
            if !name.as_str().starts_with("webhook-") {
                continue;
            }
            let Some((_, schema)) = self.headers.get(name.as_str()) else {
                return Some(format!("the header {name} is not described"));
            };
            let text = value.to_str().unwrap_or_default();
            let value = match schema["type"].as_str() {
                Some("integer") => text.parse::<i64>().map_or(text.into(), Value::from),
                _ => text.into(),
            };
            let options = jsonschema::options().should_validate_formats(true);
            if !options.build(schema).unwrap().is_valid(&value) {
                return Some(format!("the header {name} is {value}"));
            }
        }
        None
    }
}

/// Turns schemas of OpenAPI 3.0 into JSON Schema, and closes objects: receivers must take members that a later version
/// adds, but this version must describe all that it sends.
fn translate(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(translate);
            if object.get("properties").is_some_and(Value::is_object) {
                object
                    .entry("additionalProperties")
                    .or_insert(Value::Bool(false));
            }
            admit_null(object);
        }
        Value::Array(items) => items.iter_mut().for_each(translate),
        _ => {}
    }
}

fn admit_null(schema: &mut Map<String, Value>) {
    if schema.get("nullable") != Some(&Value::Bool(true)) {
        return;
    }
    if let Some(kind) = schema.get("type").cloned() {
        schema.insert("type".to_owned(), json!([kind, "null"]));
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
}

fn example(kind: &str) -> Value {
    let found = examples().iter().find(|(name, _, _)| name == kind);
    found.unwrap().2.clone()
}

#[test]
fn a_message_as_it_is_described_passes() {
    for (kind, media_type, example) in examples() {
        let fault = match (kind.as_str(), media_type.as_str()) {
            (TEMPLATED, _) => None,
            (_, CLOUD_EVENT) => CONTRACT.cloud_event_fault(example),
            (_, JSON) => fault(example),
            other => Some(format!("{other:?}")),
        };
        assert_eq!(fault, None, "{kind}");
        let expected = schema_of_kind(kind);
        if media_type == JSON {
            assert_eq!(schema_of(example), expected, "{kind}");
        }
    }
}

#[test]
fn a_message_with_a_member_more_or_less_or_wrong_is_refused() {
    let objects = ["", "/uplink_metadata", "/uplink_metadata/connectivity"];
    for place in objects {
        let mut message = example("uplink");
        message.pointer_mut(place).unwrap()["more"] = 1.into();
        assert!(fault(&message).unwrap().contains("more"), "{place}");
    }
    for (kind, place, member) in [
        ("uplink", "", "dev_eui"),
        ("uplink", "", "data"),
        ("uplink", "/receptions/0", "gateway"),
        ("uplink", "/uplink_metadata/state", "desired"),
        ("join", "", "details"),
        ("join", "/details", "network_device_id"),
        ("join", "/device", "labels"),
        ("downlink", "/details", "origin"),
        ("driver_failed", "/details", "line"),
        ("test", "", "data"),
    ] {
        let mut message = example(kind);
        let object = message.pointer_mut(place).unwrap().as_object_mut().unwrap();
        object.remove(member).unwrap();
        assert!(fault(&message).is_some(), "{kind}{place} without {member}");
    }
    for (kind, place, value) in [
        ("uplink", "/rssi", json!("-69")),
        ("uplink", "/time", json!("yesterday")),
        ("uplink", "/uplink_metadata/labels", json!("site=berlin")),
        ("uplink", "/uplink_metadata/id", Value::Null),
        ("join", "/id", json!("4")),
        ("join", "/event", json!("joined")),
        ("join", "/kind", json!("location")),
        ("join", "/details/dev_addr", Value::Null),
        ("status", "/details/battery_percent", Value::Null),
        ("location", "/details/latitude", json!(91)),
        ("downlink", "/details/origin", json!("nobody")),
        ("test", "/event", json!("data")),
    ] {
        let mut message = example(kind);
        *message.pointer_mut(place).unwrap() = value.clone();
        assert!(fault(&message).is_some(), "{kind}{place} as {value}");
    }
}

#[test]
fn a_cloud_event_whose_type_is_of_another_message_is_refused() {
    let event = example("cloud_event");
    assert_eq!(CONTRACT.cloud_event_fault(&event), None);
    for (member, value) in [
        ("type", json!("thingshub.join")),
        ("type", json!("thingshub.test")),
        ("type", json!("thingshub.news")),
        ("specversion", json!("0.3")),
        ("data", json!({})),
        ("more", json!(1)),
    ] {
        let mut event = event.clone();
        event[member] = value.clone();
        assert!(
            CONTRACT.cloud_event_fault(&event).is_some(),
            "{member} {value}"
        );
    }
}

#[test]
fn headers_and_media_types_are_held_to_the_document() {
    let text = example("uplink").to_string();
    let sent = |more: &[(&str, &str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", JSON),
            ("webhook-id", "0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11"),
            ("webhook-attempt", "1"),
        ]
        .iter()
        .chain(more)
        {
            let name: poem::http::HeaderName = name.parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        fault_of_request(&headers, &text, false)
    };
    assert_eq!(sent(&[]), None);
    for wrong in [
        ("webhook-id", "1"),
        ("webhook-attempt", "0"),
        ("webhook-attempt", "first"),
        ("webhook-signature", "none"),
        ("webhook-more", "1"),
        ("content-type", "text/plain"),
    ] {
        assert!(sent(&[wrong]).is_some(), "{wrong:?}");
    }
    assert!(fault_of_request(&HeaderMap::new(), &text, true).is_some());
}
