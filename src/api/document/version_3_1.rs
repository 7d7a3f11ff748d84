//! Step that converts the published document from OpenAPI 3.0 to OpenAPI 3.1.
//!
//! Both versions describe the same API. Only what the specifications differ in is rewritten: schemas, which are
//! JSON Schema 2020-12 in 3.1, webhooks, and the license.

use serde_json::{Map, Value, json};

const VERSION: &str = "3.1.0";
/// Extension of a 3.0 document that holds the `webhooks` of 3.1.
const WEBHOOKS_3_0: &str = "x-webhooks";
/// Members that describe a schema and say nothing about its values.
const ANNOTATIONS: [&str; 9] = [
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "externalDocs",
];

/// Converts a document.
pub fn convert(document: &mut Value) {
    document["openapi"] = VERSION.into();
    if let Some(license) = document["info"]["license"].as_object_mut() {
        // Exactly one of `identifier` and `url` is allowed. The name is the SPDX identifier.
        license.remove("url");
        license.insert("identifier".to_owned(), license["name"].clone());
    }
    if let Some(root) = document.as_object_mut() {
        *root = std::mem::take(root)
            .into_iter()
            .map(|(name, value)| match name == WEBHOOKS_3_0 {
                true => ("webhooks".to_owned(), value),
                false => (name, value),
            })
            .collect();
    }
    each_schema(Kind::Document, document, &mut convert_schema);
}

/// Converts one schema, whose parts have been converted.
fn convert_schema(schema: &mut Map<String, Value>) {
    for (bound, exclusive) in [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ] {
        if let Some(Value::Bool(is_exclusive)) = schema.remove(exclusive)
            && is_exclusive
            && let Some(number) = schema.remove(bound)
        {
            schema.insert(exclusive.to_owned(), number);
        }
    }
    match schema.get("format").and_then(Value::as_str) {
        Some("binary") => replace(schema, "format", "contentMediaType", OCTETS.into()),
        Some("byte") => replace(schema, "format", "contentEncoding", "base64".into()),
        _ => {}
    }
    if let Some(example) = schema.get("example").cloned() {
        replace(schema, "example", "examples", json!([example]));
    }
    if schema.remove("nullable") == Some(Value::Bool(true)) {
        admit_null(schema);
    }
}

/// Media type of a file of any kind.
const OCTETS: &str = "application/octet-stream";

/// Replaces a member by another one in the same position.
fn replace(schema: &mut Map<String, Value>, old: &str, new: &str, value: Value) {
    let renamed = std::mem::take(schema)
        .into_iter()
        .map(|(name, content)| match name == old {
            true => (new.to_owned(), value.clone()),
            false => (name, content),
        });
    *schema = renamed.collect();
}

/// Makes a schema accept null in addition to its values.
fn admit_null(schema: &mut Map<String, Value>) {
    let is_composed = ["$ref", "allOf", "anyOf", "oneOf", "not"]
        .iter()
        .any(|key| schema.contains_key(*key));
    if let Some(kind) = schema.get("type").and_then(Value::as_str)
        && !is_composed
    {
        schema["type"] = json!([kind, "null"]);
        if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut)
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
        return;
    }
    let (annotations, rule): (Map<String, Value>, Map<String, Value>) = std::mem::take(schema)
        .into_iter()
        .partition(|(name, _)| ANNOTATIONS.contains(&name.as_str()) || name.starts_with("x-"));
    *schema = annotations;
    schema.insert("anyOf".to_owned(), json!([rule, {"type": "null"}]));
}

/// Kind of an object in an OpenAPI document. It decides in which members schemas can be: examples, defaults and
/// the names of properties may look like schemas.
#[derive(Clone, Copy)]
enum Kind {
    Document,
    Components,
    PathItem,
    Operation,
    /// A parameter or a response header.
    Parameter,
    RequestBody,
    Response,
    MediaType,
    Encoding,
    Schema,
}

/// Content of a member.
enum Content {
    One(Kind),
    List(Kind),
    Map(Kind),
    /// Maps of maps: the path items of callbacks, by name and expression.
    Maps(Kind),
}

use Content::{List, Map as Named, Maps, One};

impl Kind {
    fn members(self) -> &'static [(&'static str, Content)] {
        use Kind::{
            Components, Encoding, MediaType, Operation, Parameter, PathItem, RequestBody, Response,
            Schema,
        };
        match self {
            Kind::Document => &[
                ("paths", Named(PathItem)),
                ("webhooks", Named(PathItem)),
                ("components", One(Components)),
            ],
            Components => &[
                ("schemas", Named(Schema)),
                ("responses", Named(Response)),
                ("parameters", Named(Parameter)),
                ("requestBodies", Named(RequestBody)),
                ("headers", Named(Parameter)),
                ("callbacks", Maps(PathItem)),
            ],
            PathItem => &[
                ("parameters", List(Parameter)),
                ("get", One(Operation)),
                ("put", One(Operation)),
                ("post", One(Operation)),
                ("delete", One(Operation)),
                ("options", One(Operation)),
                ("head", One(Operation)),
                ("patch", One(Operation)),
                ("trace", One(Operation)),
            ],
            Operation => &[
                ("parameters", List(Parameter)),
                ("requestBody", One(RequestBody)),
                ("responses", Named(Response)),
                ("callbacks", Maps(PathItem)),
            ],
            Parameter => &[("schema", One(Schema)), ("content", Named(MediaType))],
            RequestBody => &[("content", Named(MediaType))],
            Response => &[("headers", Named(Parameter)), ("content", Named(MediaType))],
            MediaType => &[("schema", One(Schema)), ("encoding", Named(Encoding))],
            Encoding => &[("headers", Named(Parameter))],
            Schema => &[
                ("properties", Named(Schema)),
                ("additionalProperties", One(Schema)),
                ("items", One(Schema)),
                ("not", One(Schema)),
                ("allOf", List(Schema)),
                ("anyOf", List(Schema)),
                ("oneOf", List(Schema)),
            ],
        }
    }
}

/// Calls `change` for every schema in an object of this kind, inner schemas first.
fn each_schema(kind: Kind, value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    for (name, content) in kind.members() {
        let Some(member) = value.get_mut(name) else {
            continue;
        };
        match content {
            One(kind) => each_schema(*kind, member, change),
            List(kind) => {
                let items = member.as_array_mut().into_iter().flatten();
                items.for_each(|item| each_schema(*kind, item, change));
            }
            Named(kind) => values(member).for_each(|item| each_schema(*kind, item, change)),
            Maps(kind) => {
                let items = values(member).flat_map(values);
                items.for_each(|item| each_schema(*kind, item, change));
            }
        }
    }
    if let (Kind::Schema, Some(schema)) = (kind, value.as_object_mut()) {
        change(schema);
    }
}

fn values(map: &mut Value) -> impl Iterator<Item = &mut Value> {
    map.as_object_mut()
        .into_iter()
        .flat_map(|map| map.values_mut())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        document::form::{Form, Format, Version},
        document_text,
    };

    fn converted(schema: Value) -> Value {
        let mut document = json!({"openapi": "3.0.0", "components": {"schemas": {"A": schema}}});
        convert(&mut document);
        document["components"]["schemas"]["A"].take()
    }

    #[test]
    fn schemas_are_json_schema() {
        for (old, new) in [
            (
                json!({"type": "string", "nullable": true, "maxLength": 3}),
                json!({"type": ["string", "null"], "maxLength": 3}),
            ),
            (
                json!({"type": "string", "nullable": false}),
                json!({"type": "string"}),
            ),
            (
                json!({"type": "string", "enum": ["a"], "nullable": true}),
                json!({"type": ["string", "null"], "enum": ["a", null]}),
            ),
            (
                json!({"allOf": [{"$ref": "#/x"}], "nullable": true, "description": "d"}),
                json!({"description": "d", "anyOf": [{"allOf": [{"$ref": "#/x"}]}, {"type": "null"}]}),
            ),
            (
                json!({"type": "object", "oneOf": [{"$ref": "#/x"}], "discriminator": {"propertyName": "p"}, "nullable": true}),
                json!({"anyOf": [
                    {"type": "object", "oneOf": [{"$ref": "#/x"}], "discriminator": {"propertyName": "p"}},
                    {"type": "null"},
                ]}),
            ),
            (
                json!({"type": "number", "minimum": 0.0, "exclusiveMinimum": true, "maximum": 9.0, "exclusiveMaximum": false}),
                json!({"type": "number", "maximum": 9.0, "exclusiveMinimum": 0.0}),
            ),
            (
                json!({"type": "string", "format": "binary"}),
                json!({"type": "string", "contentMediaType": "application/octet-stream"}),
            ),
            (
                json!({"type": "string", "format": "byte", "example": "eA=="}),
                json!({"type": "string", "contentEncoding": "base64", "examples": ["eA=="]}),
            ),
            // Properties and examples may have the names of keywords.
            (
                json!({"type": "object", "properties": {"example": {"type": "boolean", "nullable": true}, "nullable": {"type": "string"}}}),
                json!({"type": "object", "properties": {"example": {"type": ["boolean", "null"]}, "nullable": {"type": "string"}}}),
            ),
            (
                json!({"type": "array", "items": {"type": "object"}, "example": [{"nullable": true}]}),
                json!({"type": "array", "items": {"type": "object"}, "examples": [[{"nullable": true}]]}),
            ),
        ] {
            assert_eq!(converted(old.clone()), new, "{old}");
        }
    }

    #[test]
    fn webhooks_and_the_license_have_their_own_members() {
        let content = json!({"application/json": {"schema": {"type": "string", "nullable": true}, "example": "x"}});
        let mut document = json!({
            "openapi": "3.0.0",
            "info": {"license": {"name": "Apache-2.0", "url": "https://example.org"}},
            "paths": {},
            "x-webhooks": {"uplink": {"post": {"requestBody": {"content": content}}}},
        });
        convert(&mut document);
        let content =
            json!({"application/json": {"schema": {"type": ["string", "null"]}, "example": "x"}});
        assert_eq!(
            document,
            json!({
                "openapi": VERSION,
                "info": {"license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
                "paths": {},
                "webhooks": {"uplink": {"post": {"requestBody": {"content": content}}}},
            })
        );
    }

    /// Visits everything but literal values, however it is reached: independent of [`Kind::members`].
    fn keywords_of_3_0(value: &Value, are_names: bool, path: &str, found: &mut Vec<String>) {
        let Value::Object(object) = value else {
            for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                keywords_of_3_0(item, false, &format!("{path}/{at}"), found);
            }
            return;
        };
        let is_holder = object.contains_key("schema");
        for (name, member) in object {
            let path = format!("{path}/{name}");
            if !are_names {
                let is_old = match name.as_str() {
                    "nullable" | "x-webhooks" => true,
                    "exclusiveMinimum" | "exclusiveMaximum" => member.is_boolean(),
                    "format" => member == "binary" || member == "byte",
                    // Media types and parameters still have it.
                    "example" => !is_holder && object.get("in").is_none(),
                    _ => false,
                };
                if is_old {
                    found.push(path.clone());
                }
                let is_literal = matches!(
                    name.as_str(),
                    "example" | "examples" | "default" | "enum" | "const" | "mapping"
                );
                if is_literal {
                    continue;
                }
            }
            let holds_names = matches!(
                name.as_str(),
                "properties" | "schemas" | "headers" | "parameters" | "responses" | "paths"
            );
            keywords_of_3_0(member, !are_names && holds_names, &path, found);
        }
    }

    #[test]
    fn no_keyword_of_3_0_is_left() {
        let read = |version| -> Value {
            let text = document_text(None, Form(version, Format::Json));
            serde_json::from_str(&text).unwrap()
        };
        let mut found = Vec::new();
        keywords_of_3_0(&read(Version::V3_1), false, "#", &mut found);
        assert_eq!(found, Vec::<String>::new());
        keywords_of_3_0(&read(Version::V3_0), false, "#", &mut found);
        assert!(found.len() > 500, "{}", found.len());
    }
}
