//! Values as JSON in columns.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The members of a JSON object; none of what is no object.
pub fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// A value as it is stored.
pub fn to_json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}
