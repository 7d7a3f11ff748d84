//! Columns of data tables.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use crate::text::{FieldPath, Name};

/// Column of a data table.
#[derive(Object, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Path of the decoded field, with its parts joined by dots, such as `door.open`. A part can be the index of an
    /// array, starting at 0. A field whose own name contains dots takes precedence over a path. Must not contain
    /// control characters.
    pub path: FieldPath,
    /// Type of the field. Values of other types are not stored.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: ColumnType,
    /// Unit of the values, for display. Must not contain control characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Name>,
}

/// Type of a field: `number`, `text`, `boolean`, or `json` for any value.
#[derive(Enum, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Number,
    Text,
    Boolean,
    Json,
}
