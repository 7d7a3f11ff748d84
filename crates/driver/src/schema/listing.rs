//! Queries on a schema: the suggested columns, the configurable properties, and the defaults.

use serde_json::{Map, Value};

use super::tree::{Properties, Schema, Type};
use super::types::ColumnKind;

/// A column that a data table can have.
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
    /// Returns a column for each property without properties of its own, in the schema's order.
    pub fn columns(&self) -> Vec<Column> {
        let mut columns = Vec::new();
        walk(&self.properties, "", false, &mut columns);
        columns
    }

    /// Returns the columns that a client may set in the desired state.
    pub fn configurable(&self) -> Vec<Column> {
        let mut columns = self.columns();
        columns.retain(|column| column.configurable);
        columns
    }

    /// Returns the defaults as data: the values of properties that nobody has set.
    pub fn defaults(&self) -> Map<String, Value> {
        defaults(&self.properties)
    }

    /// Returns the desired state, completed by the defaults of configurable properties that are not set.
    pub fn with_defaults(&self, desired: &Map<String, Value>) -> Map<String, Value> {
        let mut values = settable_defaults(&self.properties, false);
        overlay(&mut values, desired);
        values
    }
}

/// Merges values over others, member by member.
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
