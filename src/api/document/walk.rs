//! Traversal of the document, for the steps that change it.

use serde_json::Value;

/// Prefix of references to schemas.
pub const SCHEMAS: &str = "#/components/schemas/";

/// Calls `change` for every operation with its path and method.
pub fn each_operation(document: &mut Value, mut change: impl FnMut(&str, &str, &mut Value)) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            change(path, method, operation);
        }
    }
}

/// Calls `change` for every object in the value, outer objects first.
pub fn each_object(
    value: &mut Value,
    change: &mut impl FnMut(&mut serde_json::Map<String, Value>),
) {
    match value {
        Value::Object(object) => {
            // The object comes before its members, so that members that `change` adds are visited, too.
            change(object);
            object
                .values_mut()
                .for_each(|value| each_object(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        _ => {}
    }
}

/// Calls `change` for every named schema.
pub fn each_schema(document: &mut Value, mut change: impl FnMut(&str, &mut Value)) {
    let schemas = document["components"]["schemas"].as_object_mut();
    for (name, schema) in schemas.into_iter().flatten() {
        change(name, schema);
    }
}

/// Returns the name of the schema that a `$ref` refers to.
pub fn schema_name(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix(SCHEMAS)
}
