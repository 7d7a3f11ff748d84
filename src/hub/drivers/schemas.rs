//! Schemas of drivers, which describe the data that a version decodes.

use std::sync::Arc;

use serde_json::Value;

pub use crate::driver::schema::ColumnKind;
use crate::{
    driver::schema::{Column, Schema},
    error::{Error, Result},
};

/// A schema in the form in which its author wrote it.
pub enum SchemaSource {
    /// A JSON document.
    Json(Value),
    /// A text in JSON or YAML.
    Text(String),
}

impl SchemaSource {
    /// Parses the schema; the error names the place and the rule.
    pub fn read(self) -> Result<Arc<Schema>> {
        let read = match self {
            Self::Json(document) => Schema::from_value(document),
            Self::Text(text) => Schema::parse(&text),
        };
        read.map_err(Error::broken)
    }
}

/// Returns the columns that a data table can have for versions with this stored schema.
pub fn columns(stored: Option<&str>) -> Result<Vec<Column>> {
    let Some(stored) = stored else {
        return Ok(Vec::new());
    };
    let schema = Schema::parse(stored).map_err(Error::internal)?;
    Ok(schema.columns())
}
