//! Values as JSON in columns.

use sea_orm::{ColumnTrait, DbErr};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Returns the members of a JSON object; empty for any other value.
pub fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Returns a value in its stored form.
pub fn to_json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}

/// Parses a value from a column; the error names the column.
pub fn from_column<T: DeserializeOwned>(
    column: impl ColumnTrait,
    value: Value,
) -> Result<T, DbErr> {
    serde_json::from_value(value).map_err(|error| {
        let (table, column) = (column.entity_name(), column.as_str());
        DbErr::Json(format!("column {table}.{column} cannot be read: {error}"))
    })
}
