//! Columns of data tables.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use crate::text::{FieldPath, Name};

/// One column
#[derive(Object, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Path of the decoded field, its parts joined by dots: `door.open`
    pub path: FieldPath,
    /// What the field must be; one of another type is left out
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    kind: ColumnType,
    /// Its unit, for people
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<Name>,
}

/// What a field must be
#[derive(Enum, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Number,
    Text,
    Boolean,
    Json,
}
