//! Steps that put the schemas right.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{SCHEMAS, each_object, each_operation, each_schema, schema_name};

/// `deprecated: false` and `explode: true` say nothing, nor does a description that is written twice.
pub fn drop_noise(document: &mut Value) {
    each_object(document, &mut |object| {
        if let Some(parts) = object.get_mut("allOf").and_then(Value::as_array_mut)
            && parts.iter().any(|part| part.get("$ref").is_some())
        {
            parts.retain(|part| {
                part.as_object()
                    .is_none_or(|part| !part.keys().all(|key| key == "description"))
            });
        }
        if object.get("deprecated") == Some(&Value::Bool(false)) {
            object.remove("deprecated");
        }
        if object.contains_key("in") && object.get("explode") == Some(&Value::Bool(true)) {
            object.remove("explode");
        }
    });
}

/// `Page_Device` reads `DevicePage`.
pub fn name_pages(document: &mut Value) {
    let rename = |name: &str| name.strip_prefix("Page_").map(|item| format!("{item}Page"));
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        *schemas = std::mem::take(schemas)
            .into_iter()
            .map(|(name, schema)| (rename(&name).unwrap_or(name), schema))
            .collect();
    }
    each_object(document, &mut |object| {
        let renamed = object.get("$ref").and_then(schema_name).and_then(rename);
        if let Some(name) = renamed {
            object.insert("$ref".to_owned(), format!("{SCHEMAS}{name}").into());
        }
    });
}

/// poem-openapi writes a union's variant as the tag's object and the variant's, both of which it must
/// be at once: two closed objects exclude each other, so they become one.
pub fn flatten_unions(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else {
        return;
    };
    let all = schemas.clone();
    let mut merged_away = BTreeSet::new();
    for schema in schemas.values_mut() {
        let Some([tag, variant]) = schema["allOf"].as_array().map(Vec::as_slice) else {
            continue;
        };
        let Some(name) = schema_name(&variant["$ref"]) else {
            continue;
        };
        let Some(variant) = all.get(name) else {
            continue;
        };
        merged_away.insert(name.to_owned());
        let mut merged = variant.clone();
        let mut properties = tag["properties"].as_object().cloned().unwrap_or_default();
        properties.extend(
            variant["properties"]
                .as_object()
                .cloned()
                .unwrap_or_default(),
        );
        let mut required = tag["required"].as_array().cloned().unwrap_or_default();
        required.extend(variant["required"].as_array().cloned().unwrap_or_default());
        for (tag, _) in tag["properties"].as_object().into_iter().flatten() {
            properties[tag]["description"] = "Which of the forms this is".into();
        }
        merged["properties"] = properties.into();
        merged["required"] = required.into();
        *schema = merged;
    }
    schemas.retain(|name, _| !merged_away.contains(name));
    for schema in schemas.values_mut() {
        if let Some(union) = schema.as_object_mut()
            && union.contains_key("oneOf")
        {
            union.remove("type");
        }
    }
}

/// The framework never writes `nullable`, but an `Option` is null where it is answered and may be null
/// where it is sent. What is answered is always there.
pub fn mark_nullable(document: &mut Value) {
    let sent = sent_schemas(document);
    let schemas = document["components"]["schemas"].clone();
    each_schema(document, |name, schema| {
        let mut required: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
        for (property, schema) in schema
            .get_mut("properties")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flatten()
        {
            let is_required = required.iter().any(|required| required == property);
            if is_required || schema.get("default").is_some() {
                continue;
            }
            nullable(schema, &schemas);
            if !sent.contains(name) {
                required.push(property.as_str().into());
            }
        }
        if !required.is_empty() {
            schema["required"] = required.into();
        }
    });
}

/// `nullable` means something only beside a `type` (OpenAPI 3.0.3), so that of the named schema comes along.
fn nullable(schema: &mut Value, schemas: &Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(reference) = object.remove("$ref") {
        object.insert("allOf".to_owned(), json!([{"$ref": reference}]));
    }
    let named = object
        .get("allOf")
        .and_then(|parts| schema_name(&parts[0]["$ref"]));
    // A union has no type of its own; its forms are objects.
    let kind = named.map(|name| schemas[name]["type"].as_str().unwrap_or("object"));
    if let Some(kind) = kind {
        object.entry("type").or_insert_with(|| kind.into());
    }
    object.insert("nullable".to_owned(), true.into());
}

/// `deny_unknown_fields` does not reach the document. Clients must not send what is not named; what
/// is answered may grow.
pub fn close_objects(document: &mut Value) {
    let sent = sent_schemas(document);
    each_schema(document, |name, schema| {
        let is_closed = sent.contains(name) || name == "Error";
        if is_closed && schema.get("oneOf").is_none() && schema["type"] == "object" {
            schema["additionalProperties"] = false.into();
        }
    });
}

/// The framework sorts tags by name; a reader wants them in the order of a first visit, which is that
/// of the operations.
pub fn order_tags(document: &mut Value) {
    let mut order = Vec::new();
    each_operation(document, |_, _, operation| {
        order.extend(operation["tags"].as_array().into_iter().flatten().cloned());
    });
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(|tag| order.iter().position(|name| *name == tag["name"]));
    }
}

/// The schemas that request bodies are made of.
fn sent_schemas(document: &mut Value) -> BTreeSet<String> {
    let mut waiting = Vec::new();
    each_operation(document, |_, _, operation| {
        waiting.extend(references(&operation["requestBody"]))
    });
    let mut sent = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if sent.insert(name.clone()) {
            waiting.extend(references(&document["components"]["schemas"][&name]));
        }
    }
    sent
}

fn references(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut value = value.clone();
    each_object(&mut value, &mut |object: &mut Map<String, Value>| {
        found.extend(
            object
                .get("$ref")
                .and_then(schema_name)
                .map(ToOwned::to_owned),
        );
    });
    found
}
