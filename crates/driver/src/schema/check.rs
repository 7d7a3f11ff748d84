//! The check of data against the schema.
//!
//! `null` is valid for every value: it means that there is none, and every field is optional. The recursion
//! into data ends where the schema ends, which is limited, not where the data end.

use serde_json::{Map, Value};

use super::{
    bounds::NAME_MAX,
    error::SchemaError,
    tree::{Properties, Property, Schema, Type},
};

/// A violation of the schema: the property, and the broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Violation {
    /// The property's path, its parts joined by dots; an array's items are counted from 0.
    pub path: String,
    /// The rule.
    pub message: String,
}

impl Violation {
    fn new(message: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            message: message.into(),
        }
    }

    /// Prepends the name of the parent to the path.
    fn under(mut self, name: &str) -> Self {
        let name: String = name.chars().take(NAME_MAX).collect();
        self.path = match self.path.is_empty() {
            true => name,
            false => format!("{name}.{}", self.path),
        };
        self
    }

    /// Converts the violation to an error at a place in the schema itself.
    pub(super) fn within(self, place: &str) -> SchemaError {
        let place = match self.path.is_empty() {
            true => place.to_owned(),
            false => format!("{place}.{}", self.path),
        };
        SchemaError::new(place, self.message)
    }
}

impl Schema {
    /// Checks decoded data.
    pub fn check(&self, data: &Map<String, Value>) -> Result<(), Violation> {
        members(&self.properties, data, self.version.is_closed())
    }

    /// Checks a desired state from a client: properties of the right types, all of them `configurable`.
    pub fn check_desired(&self, desired: &Map<String, Value>) -> Result<(), Violation> {
        members(&self.properties, desired, true)?;
        settable(&self.properties, desired, false)
    }
}

impl Property {
    /// Checks that the value is of the property's type, closed whatever the schema's version.
    pub(super) fn check(&self, value: &Value) -> Result<(), Violation> {
        self.admit(value, true)
    }

    fn admit(&self, value: &Value, closed: bool) -> Result<(), Violation> {
        match (&self.kind, value) {
            (_, Value::Null) | (Type::Any, _) => Ok(()),
            (Type::Object(None), Value::Object(_)) | (Type::Array(None), Value::Array(_)) => Ok(()),
            (Type::Object(Some(properties)), Value::Object(data)) => {
                members(properties, data, closed)
            }
            (Type::Array(Some(items)), Value::Array(values)) => {
                values.iter().enumerate().try_for_each(|(index, value)| {
                    items
                        .admit(value, closed)
                        .map_err(|violation| violation.under(&index.to_string()))
                })
            }
            (Type::Scalar(scalar), value) if scalar.admits(value) => Ok(()),
            (Type::Object(_), value) => Err(wrong("must be an object", value)),
            (Type::Array(_), value) => Err(wrong("must be an array", value)),
            (Type::Scalar(scalar), value) => {
                let rule = format!("{} ({})", scalar.rule(), scalar.name);
                Err(wrong(&rule, value))
            }
        }
    }
}

fn members(
    properties: &Properties,
    data: &Map<String, Value>,
    closed: bool,
) -> Result<(), Violation> {
    data.iter().try_for_each(|(name, value)| {
        let checked = match properties.get(name) {
            Some(property) => property.admit(value, closed),
            None if closed => Err(Violation::new("is not in the driver's schema")),
            None => Ok(()),
        };
        checked.map_err(|violation| violation.under(name))
    })
}

/// Checks that every value belongs to a configurable property; `inherited` is the value of its parent.
fn settable(
    properties: &Properties,
    desired: &Map<String, Value>,
    inherited: bool,
) -> Result<(), Violation> {
    desired.iter().try_for_each(|(name, value)| {
        let Some(property) = properties.get(name) else {
            return Ok(());
        };
        let configurable = property.configurable.unwrap_or(inherited);
        let checked = match (&property.kind, value) {
            (Type::Object(Some(inner)), Value::Object(desired)) => {
                settable(inner, desired, configurable)
            }
            _ if configurable => Ok(()),
            _ => Err(Violation::new(
                "cannot be set: the driver's schema does not say that it is configurable",
            )),
        };
        checked.map_err(|violation| violation.under(name))
    })
}

fn wrong(rule: &str, value: &Value) -> Violation {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Violation::new(format!("{rule}, and is {got}"))
}
