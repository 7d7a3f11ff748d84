//! Answers from a schema: the columns that it suggests, what can be configured, the defaults.

use serde_json::{Map, Value};

use super::tree::{Properties, Schema, Type};
use super::types::ColumnKind;

/// A column that a data table could keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The field's path, its parts joined by dots.
    pub path: String,
    /// The type of the field.
    pub kind: ColumnKind,
    /// Its unit.
    pub unit: Option<String>,
    /// Its meaning.
    pub description: Option<String>,
    /// True if a client may set it in the desired state.
    pub configurable: bool,
}

impl Schema {
    /// A column for each property that holds no other properties, in the schema's order.
    pub fn columns(&self) -> Vec<Column> {
        let mut columns = Vec::new();
        walk(&self.properties, "", false, &mut columns);
        columns
    }

    /// The columns that a client may set in the desired state.
    pub fn configurable(&self) -> Vec<Column> {
        let mut columns = self.columns();
        columns.retain(|column| column.configurable);
        columns
    }

    /// The defaults, as data: what a property is as long as nobody has said anything else.
    pub fn defaults(&self) -> Map<String, Value> {
        defaults(&self.properties)
    }

    /// The desired state with the defaults of what can be set and is not: what the device should be.
    pub fn with_defaults(&self, desired: &Map<String, Value>) -> Map<String, Value> {
        let mut values = settable_defaults(&self.properties, false);
        overlay(&mut values, desired);
        values
    }
}

/// Puts values over others, member by member.
fn overlay(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (name, value) in over {
        match (under.get_mut(name), value) {
            (Some(Value::Object(under)), Value::Object(over)) => overlay(under, over),
            _ => {
                under.insert(name.clone(), value.clone());
            }
        }
    }
}

/// The defaults of what a client may set; `inherited` is what the parent says of that.
fn settable_defaults(properties: &Properties, inherited: bool) -> Map<String, Value> {
    let mut values = Map::new();
    for (name, property) in properties {
        let configurable = property.configurable.unwrap_or(inherited);
        let value = match (&property.default, &property.kind) {
            (Some(default), _) if configurable => default.clone(),
            (_, Type::Object(Some(inner))) => {
                let inner = settable_defaults(inner, configurable);
                if inner.is_empty() {
                    continue;
                }
                Value::Object(inner)
            }
            _ => continue,
        };
        values.insert(name.clone(), value);
    }
    values
}

fn walk(properties: &Properties, prefix: &str, inherited: bool, columns: &mut Vec<Column>) {
    for (name, property) in properties {
        let path = match prefix {
            "" => name.clone(),
            prefix => format!("{prefix}.{name}"),
        };
        let configurable = property.configurable.unwrap_or(inherited);
        let kind = match &property.kind {
            Type::Object(Some(inner)) => {
                walk(inner, &path, configurable, columns);
                continue;
            }
            Type::Object(None) | Type::Array(_) | Type::Any => ColumnKind::Json,
            Type::Scalar(scalar) => scalar.column(),
        };
        columns.push(Column {
            path,
            kind,
            unit: property.unit.clone(),
            description: property.description.clone(),
            configurable,
        });
    }
}

fn defaults(properties: &Properties) -> Map<String, Value> {
    let mut values = Map::new();
    for (name, property) in properties {
        let value = match (&property.default, &property.kind) {
            (Some(default), _) => default.clone(),
            (None, Type::Object(Some(inner))) => {
                let inner = defaults(inner);
                if inner.is_empty() {
                    continue;
                }
                Value::Object(inner)
            }
            (None, _) => continue,
        };
        values.insert(name.clone(), value);
    }
    values
}
