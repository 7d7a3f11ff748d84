//! Parses JSON to properties. An error contains the place in the schema and the rule.
//!
//! A member of `properties` is a property when its `type` is a text. Without one it is a group, the
//! short form that the public SDK's examples use: an object, whose own members are its properties.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    bounds::{DESCRIPTION_MAX, NAME_MAX, PROPERTIES_MAX, PROPERTY_DEPTH_MAX, UNIT_MAX},
    document,
    error::SchemaError,
    tree::{Properties, Property, Schema, Type, Version},
    types::{self, Scalar},
};

/// The attributes of a property, beside members that begin with `x-`.
const ATTRIBUTES: [&str; 7] = [
    "type",
    "unit",
    "description",
    "configurable",
    "default",
    "properties",
    "items",
];

impl Schema {
    /// Reads a schema from JSON or YAML. A text that is an object with the one member `schema`, as in
    /// a driver's `.project` file, means that member.
    pub fn parse(text: &str) -> Result<Arc<Self>, SchemaError> {
        let mut document = document::read(text)?;
        if let Value::Object(object) = &mut document
            && object.len() == 1
            && let Some(inner) = object.get_mut("schema")
        {
            document = inner.take();
        }
        schema(document).map(Arc::new)
    }

    /// Parses a schema from JSON.
    pub fn from_value(document: Value) -> Result<Arc<Self>, SchemaError> {
        document::check(&document)?;
        schema(document).map(Arc::new)
    }
}

fn schema(document: Value) -> Result<Schema, SchemaError> {
    const PLACE: &str = "schema";
    let Value::Object(mut document) = document else {
        return Err(SchemaError::new(PLACE, "must be an object"));
    };
    for name in document.keys() {
        if name != "version" && name != "properties" && !is_extension(name) {
            return Err(SchemaError::new(
                format!("{PLACE}.{}", shown(name)),
                "is unknown; a schema has version and properties",
            ));
        }
    }
    let version = version(document.get("version"))?;
    let mut reader = Reader { properties: 0 };
    let properties = match document.get("properties") {
        Some(Value::Object(members)) => reader.properties("schema.properties", members, 1)?,
        _ => {
            return Err(SchemaError::new(
                "schema.properties",
                "must be an object of properties",
            ));
        }
    };
    document.insert("version".to_owned(), json!(version.as_str()));
    Ok(Schema {
        version,
        properties,
        document: Value::Object(document),
    })
}

/// A text or a number; where there is none, the first form.
fn version(value: Option<&Value>) -> Result<Version, SchemaError> {
    let text = match value {
        None => return Ok(Version::V1),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => String::new(),
    };
    match text.as_str() {
        "1" | "1.0" => Ok(Version::V1),
        "2" | "2.0" => Ok(Version::V2),
        "2.1" => Ok(Version::V2_1),
        _ => Err(SchemaError::new(
            "schema.version",
            "must be \"1\", \"2\" or \"2.1\"",
        )),
    }
}

struct Reader {
    /// Read so far.
    properties: usize,
}

impl Reader {
    fn properties(
        &mut self,
        path: &str,
        members: &Map<String, Value>,
        depth: usize,
    ) -> Result<Properties, SchemaError> {
        members
            .iter()
            .map(|(name, value)| {
                let path = format!("{path}.{}", shown(name));
                check_name(&path, name)?;
                Ok((name.clone(), self.property(&path, value, depth)?))
            })
            .collect()
    }

    fn property(
        &mut self,
        path: &str,
        value: &Value,
        depth: usize,
    ) -> Result<Property, SchemaError> {
        self.properties += 1;
        if self.properties > PROPERTIES_MAX {
            return Err(SchemaError::new(
                "schema.properties",
                format!("must have at most {PROPERTIES_MAX} properties, at all levels together"),
            ));
        }
        if depth > PROPERTY_DEPTH_MAX {
            return Err(SchemaError::new(
                path,
                format!("must not be nested deeper than {PROPERTY_DEPTH_MAX} properties"),
            ));
        }
        let Value::Object(members) = value else {
            return Err(SchemaError::new(
                path,
                "must be an object that has a type, or a group of such",
            ));
        };
        if members.contains_key("$ref") {
            return Err(SchemaError::new(
                format!("{path}.$ref"),
                "is not supported; write the property out",
            ));
        }
        let kind = match members.get("type") {
            Some(Value::String(name)) => {
                check_attributes(path, members)?;
                self.kind(path, name, members, depth)?
            }
            None if members.contains_key("properties") => {
                check_attributes(path, members)?;
                self.kind(path, types::OBJECT, members, depth)?
            }
            _ => self.group(path, members, depth)?,
        };
        let property = Property {
            kind,
            unit: label(path, members, "unit", UNIT_MAX)?,
            description: label(path, members, "description", DESCRIPTION_MAX)?,
            configurable: configurable(path, members)?,
            default: match members.get("default") {
                Some(Value::Object(_)) if !members.contains_key("type") => None,
                default => default.cloned(),
            },
        };
        if let Some(default) = &property.default {
            property
                .check(default)
                .map_err(|violation| violation.within(&format!("{path}.default")))?;
        }
        Ok(property)
    }

    fn kind(
        &mut self,
        path: &str,
        name: &str,
        members: &Map<String, Value>,
        depth: usize,
    ) -> Result<Type, SchemaError> {
        let only_for = |member: &str, kind: &str| match members.contains_key(member) {
            true if name != kind => Err(SchemaError::new(
                format!("{path}.{member}"),
                format!("is for the type {kind} alone"),
            )),
            _ => Ok(()),
        };
        only_for("properties", types::OBJECT)?;
        only_for("items", types::ARRAY)?;
        match name {
            types::OBJECT => match members.get("properties") {
                None => Ok(Type::Object(None)),
                Some(Value::Object(inner)) => self
                    .properties(&format!("{path}.properties"), inner, depth + 1)
                    .map(|properties| Type::Object(Some(properties))),
                Some(_) => Err(SchemaError::new(
                    format!("{path}.properties"),
                    "must be an object of properties",
                )),
            },
            types::ARRAY => members
                .get("items")
                .map(|items| self.property(&format!("{path}.items"), items, depth + 1))
                .transpose()
                .map(|items| Type::Array(items.map(Box::new))),
            types::ANY => Ok(Type::Any),
            _ => Scalar::find(name).map(Type::Scalar).ok_or_else(|| {
                SchemaError::new(
                    format!("{path}.type"),
                    format!("must be one of {}", types::names()),
                )
            }),
        }
    }

    /// The short form of an object: members that are objects are its properties, others say
    /// something of the group itself.
    fn group(
        &mut self,
        path: &str,
        members: &Map<String, Value>,
        depth: usize,
    ) -> Result<Type, SchemaError> {
        let mut inner = Map::new();
        for (name, value) in members {
            if value.is_object() {
                inner.insert(name.clone(), value.clone());
            } else if !is_attribute(name) || name == "type" {
                return Err(SchemaError::new(
                    format!("{path}.{}", shown(name)),
                    match name.as_str() {
                        "type" => "must be a text, the name of a type",
                        _ => "must be an object that has a type",
                    },
                ));
            }
        }
        if inner.is_empty() {
            return Err(SchemaError::new(format!("{path}.type"), "is missing"));
        }
        self.properties(path, &inner, depth + 1)
            .map(|properties| Type::Object(Some(properties)))
    }
}

fn check_attributes(path: &str, members: &Map<String, Value>) -> Result<(), SchemaError> {
    match members.keys().find(|name| !is_attribute(name)) {
        None => Ok(()),
        Some(name) => Err(SchemaError::new(
            format!("{path}.{}", shown(name)),
            format!(
                "is unknown; a property has {}, and x-... for your own use",
                ATTRIBUTES.join(", ")
            ),
        )),
    }
}

fn is_attribute(name: &str) -> bool {
    ATTRIBUTES.contains(&name) || is_extension(name)
}

fn is_extension(name: &str) -> bool {
    name.starts_with("x-")
}

fn check_name(path: &str, name: &str) -> Result<(), SchemaError> {
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX || name.chars().any(char::is_control) {
        return Err(SchemaError::new(
            path,
            format!(
                "a name must have 1 to {NAME_MAX} characters, none of them a control character"
            ),
        ));
    }
    Ok(())
}

fn label(
    path: &str,
    members: &Map<String, Value>,
    name: &str,
    max: usize,
) -> Result<Option<String>, SchemaError> {
    let refuse = |rule: String| Err(SchemaError::new(format!("{path}.{name}"), rule));
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        // In a group, an object of this name is a property.
        Some(Value::Object(_)) if !members.get("type").is_some_and(Value::is_string) => Ok(None),
        Some(Value::String(text)) if text.chars().count() > max || text.contains('\0') => refuse(
            format!("must have at most {max} characters, and no NUL character"),
        ),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => refuse("must be a text".to_owned()),
    }
}

fn configurable(path: &str, members: &Map<String, Value>) -> Result<Option<bool>, SchemaError> {
    match members.get("configurable") {
        None => Ok(None),
        Some(Value::Bool(configurable)) => Ok(Some(*configurable)),
        Some(Value::Object(_)) if !members.get("type").is_some_and(Value::is_string) => Ok(None),
        Some(_) => Err(SchemaError::new(
            format!("{path}.configurable"),
            "must be true or false",
        )),
    }
}

/// Formats a name for an error: shortened, whatever it is.
fn shown(name: &str) -> String {
    name.chars().take(NAME_MAX).collect()
}
