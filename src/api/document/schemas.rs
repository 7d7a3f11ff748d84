//! Steps that correct the schemas.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::walk::{SCHEMAS, each_object, each_operation, each_schema, schema_name};

/// Removes `deprecated: false` and `explode: true`, which are the defaults, and repeated descriptions.
pub fn drop_noise(document: &mut Value) {
    each_object(document, &mut |object| {
        if let Some(parts) = object.get_mut("allOf").and_then(Value::as_array_mut)
            && parts.iter().any(|part| part.get("$ref").is_some())
        {
            parts.retain(|part| {
                part.as_object().is_none_or(|part| {
                    !part
                        .keys()
                        .all(|key| key == "description" || key == "default")
                })
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

/// Removes defaults that are objects or lists, which client generators do not handle; the description states such
/// a default. Also removes the default null, which only marks members that are left out rather than null. Runs after
/// [`mark_nullable`], so that a property with a default is optional but not nullable.
pub fn drop_awkward_defaults(document: &mut Value) {
    each_object(document, &mut |object| {
        let is_reference = object
            .get("allOf")
            .is_some_and(|parts| parts[0]["$ref"].is_string());
        let is_awkward = object.get("default").is_some_and(|default| match default {
            Value::Array(items) => !items.is_empty(),
            // A word of an enum.
            Value::String(_) => false,
            Value::Null => true,
            _ => is_reference,
        });
        if is_awkward {
            object.remove("default");
        }
    });
}

/// Renames `Page_Device` to `DevicePage`, and `NewDevice` to `DeviceInput`: Go generators name the constructor
/// of `Device` `NewDevice`, and two items with one name do not compile. Renames titles as well, because some
/// generators name a schema after its title.
pub fn rename(document: &mut Value) {
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        *schemas = std::mem::take(schemas)
            .into_iter()
            .map(|(name, mut schema)| {
                let name = published_name(&name).unwrap_or(name);
                if let Some(title) = schema["title"].as_str().and_then(published_name) {
                    schema["title"] = title.into();
                }
                (name, schema)
            })
            .collect();
    }
    each_object(document, &mut |object| {
        let renamed = object
            .get("$ref")
            .and_then(schema_name)
            .and_then(published_name);
        if let Some(name) = renamed {
            object.insert("$ref".to_owned(), format!("{SCHEMAS}{name}").into());
        }
    });
}

/// Returns the published name of a schema; `None` if it is the type's name.
fn published_name(name: &str) -> Option<String> {
    if let Some(item) = name.strip_prefix("Page_") {
        return Some(format!("{item}Page"));
    }
    name.strip_prefix("New").map(|item| format!("{item}Input"))
}

/// Merges a union's variant into one object. poem-openapi writes it as `allOf` of the tag's object and the
/// variant's, which exclude each other if both are closed.
pub fn flatten_unions(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else {
        return;
    };
    let all = schemas.clone();
    let mut merged_from = Vec::new();
    for (union_name, schema) in schemas.iter_mut() {
        let Some([tag, variant]) = schema["allOf"].as_array().map(Vec::as_slice) else {
            continue;
        };
        let Some(name) = schema_name(&variant["$ref"]) else {
            continue;
        };
        let Some(variant) = all.get(name) else {
            continue;
        };
        merged_from.push((union_name.clone(), name.to_owned()));
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
            properties[tag]["description"] =
                "Type of this object, which determines its other fields.".into();
        }
        merged["properties"] = properties.into();
        merged["required"] = required.into();
        *schema = merged;
    }
    // A variant that is also used on its own stays, and the two must not have the same title.
    let used = references(&Value::Object(schemas.clone()));
    for (merged, variant) in merged_from {
        if used.contains(&variant) {
            schemas[&merged]["title"] = merged.as_str().into();
        } else {
            schemas.remove(&variant);
        }
    }
    for schema in schemas.values_mut() {
        if let Some(union) = schema.as_object_mut()
            && union.contains_key("oneOf")
        {
            union.remove("type");
        }
    }
}

/// Marks optional properties as nullable, which the framework never does: an `Option` may be null in requests,
/// and is null in responses. Makes the properties of responses required, because they are always present, except
/// those of a type that has null itself: an `Option` of it is left out.
pub fn mark_nullable(document: &mut Value) {
    let sent = sent_schemas(document);
    let with_null = unions_with_null(document);
    each_schema(document, |name, schema| {
        let mut required: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
        for (property, schema) in schema
            .get_mut("properties")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flatten()
        {
            let is_required = required.iter().any(|required| required == property);
            let has_null = schema["nullable"] == true;
            if is_required || has_null || schema.get("default").is_some() {
                continue;
            }
            if !references(schema)
                .iter()
                .any(|name| with_null.contains(name))
            {
                nullable(schema);
            }
            if !sent.contains(name) {
                required.push(property.as_str().into());
            }
        }
        if !required.is_empty() {
            schema["required"] = required.into();
        }
    });
}

/// Returns the names of the unions that have null among their forms. A place that refers to one says nothing of
/// null itself, so that the union is not written out there without its name.
fn unions_with_null(document: &mut Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    each_schema(document, |name, schema| {
        let mut forms = schema["oneOf"].as_array().into_iter().flatten();
        if forms.any(|form| form["nullable"] == true) {
            found.insert(name.to_owned());
        }
    });
    found
}

fn nullable(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    // `nullable` needs a type beside it, and only one of the two forms has one.
    if let Some(forms) = object.get_mut("oneOf").and_then(Value::as_array_mut) {
        return forms.iter_mut().take(1).for_each(nullable);
    }
    if let Some(reference) = object.remove("$ref") {
        object.insert("allOf".to_owned(), json!([{"$ref": reference}]));
    }
    object.insert("nullable".to_owned(), true.into());
}

/// Closes the schemas of requests, because `deny_unknown_fields` does not reach the document. The schemas of
/// responses stay open, so that they can grow.
pub fn close_objects(document: &mut Value) {
    let sent = sent_schemas(document);
    each_schema(document, |name, schema| {
        let is_closed = (sent.contains(name) || name == "Error")
            && schema.get("additionalProperties").is_none();
        if is_closed && schema.get("oneOf").is_none() && schema["type"] == "object" {
            schema["additionalProperties"] = false.into();
        }
    });
}

/// Copies a referenced schema to each place where it may be null: strict readers ignore `nullable` beside a
/// reference, and half of the generators lose the null.
pub fn write_out_nullable(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    each_object(document, &mut |object| {
        if object.get("nullable") != Some(&Value::Bool(true)) {
            return;
        }
        let parts = object.get("allOf").and_then(Value::as_array);
        let named = parts.and_then(|parts| schema_name(&parts.first()?["$ref"]));
        let Some(mut written) = named.and_then(|name| schemas[name].as_object().cloned()) else {
            return;
        };
        object.remove("allOf");
        // Members of the place itself, such as its description, take precedence.
        written.extend(std::mem::take(object));
        // `nullable` only applies beside a type, which a union of objects does not have.
        if written.contains_key("oneOf") {
            written.insert("type".to_owned(), "object".into());
        }
        *object = written;
    });
    // Generators name types after titles, so the copy of a schema that is still referenced loses its title.
    let named: BTreeSet<String> = references(document).into_iter().collect();
    each_object(document, &mut |object| {
        let is_written_out = object.get("nullable") == Some(&Value::Bool(true));
        let title = object.get("title").and_then(Value::as_str);
        if is_written_out && title.is_some_and(|title| named.contains(title)) {
            object.remove("title");
        }
    });
}

/// Removes schemas without references.
pub fn drop_unused(document: &mut Value) {
    loop {
        let mut used = BTreeSet::new();
        each_object(document, &mut |object| {
            let mapped = object.get("mapping").and_then(Value::as_object);
            let references = object.get("$ref").into_iter();
            for reference in references.chain(mapped.into_iter().flat_map(|map| map.values())) {
                used.extend(schema_name(reference).map(ToOwned::to_owned));
            }
        });
        let Some(schemas) = document["components"]["schemas"].as_object_mut() else {
            return;
        };
        let before = schemas.len();
        schemas.retain(|name, _| used.contains(name) || name == "Error");
        if schemas.len() == before {
            return;
        }
    }
}

/// Orders the tags by the first operation that uses them, which follows a first visit. The framework sorts them
/// by name.
pub fn order_tags(document: &mut Value) {
    let mut order = Vec::new();
    each_operation(document, |_, _, operation| {
        order.extend(operation["tags"].as_array().into_iter().flatten().cloned());
    });
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(|tag| order.iter().position(|name| *name == tag["name"]));
    }
}

/// Returns the names of the schemas that request bodies use, directly or indirectly.
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
