//! Examples of every body, composed from the examples of the values in it, so that they cannot become outdated.

use serde_json::{Map, Value, json};

use super::walk::{each_object, each_operation, schema_name};

/// Manifest of a driver version with only the script of the examples.
const MANIFEST: &str =
    r#"{"script":"sha256:0f3b2240ada630aaf48495ee80a89ec30442643270c097c6a9c5aa5a15208a04"}"#;
/// SHA-256 of [`MANIFEST`].
const DIGEST: &str = "sha256:2123040d040d11712b20790570d87ad8c1cbda3a4f65cf24a40659c9409a4f92";

/// Adds an example to each body that has none.
pub fn add(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    each_operation(document, |_, _, operation| {
        if let Some(body) = operation.get_mut("requestBody") {
            add_to_contents(body, &schemas, Direction::Sent);
        }
        for (_, response) in operation["responses"].as_object_mut().into_iter().flatten() {
            add_to_contents(response, &schemas, Direction::Answered);
        }
    });
}

/// Removes examples from optional parameters. Swagger UI fills them in and sends them unasked: a list would be
/// tried out from the example's cursor on.
pub fn drop_from_optional_parameters(document: &mut Value) {
    each_object(document, &mut |object| {
        let is_parameter = object.contains_key("in") && object.contains_key("schema");
        if is_parameter
            && object.get("required") != Some(&Value::Bool(true))
            && let Some(schema) = object.get_mut("schema").and_then(Value::as_object_mut)
        {
            schema.shift_remove("example");
        }
    });
}

/// Direction of a body. Secrets appear in requests only.
#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Sent,
    Answered,
}

fn add_to_contents(body: &mut Value, schemas: &Value, direction: Direction) {
    for (_, media) in body
        .get_mut("content")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        if media.get("example").is_some() {
            continue;
        }
        media["example"] = match media.get("x-event-schema") {
            Some(event) => {
                let event = compose(event, schemas, direction, 0);
                let id = &event["uplink"]["id"];
                let id = id.as_str().unwrap_or_default();
                format!("event: uplink\nid: {id}\ndata: {event}\n\n").into()
            }
            None => compose(&media["schema"], schemas, direction, 0),
        };
    }
}

fn compose(schema: &Value, schemas: &Value, direction: Direction, depth: usize) -> Value {
    if depth > 24 {
        return Value::Null;
    }
    let inner = |schema: &Value| compose(schema, schemas, direction, depth + 1);
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(name) = schema.get("$ref").and_then(schema_name) {
        return inner(&schemas[name]);
    }
    for several in ["allOf", "oneOf", "anyOf"] {
        if let Some(first) = schema[several].as_array().and_then(|parts| parts.first()) {
            return inner(first);
        }
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let is_there =
                |schema: &Value| direction == Direction::Sent || schema["writeOnly"] != true;
            Value::Object(
                properties
                    .filter(|(_, schema)| is_there(schema))
                    .map(|(name, schema)| (name.clone(), of_property(name, schema, &inner)))
                    .collect::<Map<_, _>>(),
            )
        }
        Some("array") => json!([inner(&schema["items"])]),
        Some("boolean") => true.into(),
        Some("integer") => json!(
            schema["minimum"]
                .as_f64()
                .map_or(1, |minimum| (minimum as i64).max(1))
        ),
        Some("number") => json!(21.5),
        Some("string") => match schema["format"].as_str() {
            Some("uuid") => "0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11".into(),
            _ => "text".into(),
        },
        _ => Value::Null,
    }
}

/// Returns the example of a property. Many response fields have the type of plain text, so their example
/// depends on the name.
fn of_property(name: &str, schema: &Value, inner: &impl Fn(&Value) -> Value) -> Value {
    if name == "examples" {
        // An example that the script of the examples passes.
        return json!([{"type": "uplink", "description": "Room temperature",
            "input": {"bytes": [0, 215], "fPort": 85}, "output": {"temperature": 21.5}}]);
    }
    if name == "error_rate" {
        return json!(0.02);
    }
    if name == "problems" {
        return json!([]);
    }
    let is_plain = schema["type"] == "string"
        && schema.get("example").is_none()
        && schema.get("enum").is_none();
    let known = match name {
        _ if !is_plain => None,
        "token" | "ingest_key" | "key" => Some("f4maabU0behdKcMTOPX_1BB08RpEfM0fcfdkZYNEaIc="),
        "username" => Some("admin"),
        "password" | "full_name" | "email" | "country" | "last_error" => Some(""),
        "device_id" => Some("am102-meeting-2"),
        "network_device_id" => Some("24E124538C194528"),
        "raw" => Some("0175640367fa0004687f"),
        "raw_base64" => Some("AXVkA2f6AARofw=="),
        "digest" => Some(DIGEST),
        "reference" => Some("milesight/am102:1"),
        "encoding" => Some("utf-8"),
        "delimiter" => Some(","),
        "devices_path" => Some("/api/v3/devices?driver=milesight%2Fam102%3A1"),
        "manifest" => Some(MANIFEST),
        "selector" => Some("site=berlin, !retired"),
        "url" => Some("https://erp.example.com/iot"),
        "driver" => Some("milesight/am102:1"),
        "author" => Some("milesight"),
        "tag" => Some("1.0.1"),
        "status" => Some("ok"),
        "script" => Some(
            "function decode(payload, port) { return {temperature: (payload[0] << 8 | payload[1]) / 10}; }",
        ),
        "next_cursor" => return Value::Null,
        _ => None,
    };
    match known {
        Some(known) => known.into(),
        None => inner(schema),
    }
}
