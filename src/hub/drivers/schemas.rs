//! Schemas of drivers: what a version says that its data look like.

use std::sync::Arc;

use serde_json::Value;

pub use crate::driver::schema::ColumnKind;
use crate::{
    driver::schema::{Column, Schema},
    error::{Error, Result},
};

/// A schema as its author wrote it.
pub enum SchemaSource {
    /// JSON.
    Json(Value),
    /// JSON or YAML in a text.
    Text(String),
}

impl SchemaSource {
    /// Reads it; the error names the place and the rule.
    pub fn read(self) -> Result<Arc<Schema>> {
        let read = match self {
            Self::Json(document) => Schema::from_value(document),
            Self::Text(text) => Schema::parse(&text),
        };
        read.map_err(|error| Error::Invalid(error.to_string()))
    }
}

/// What a data table could keep of the data of a version with this stored schema.
pub fn columns(stored: Option<&str>) -> Result<Vec<Column>> {
    let Some(stored) = stored else {
        return Ok(Vec::new());
    };
    let schema = Schema::parse(stored).map_err(Error::internal)?;
    Ok(schema.columns())
}
