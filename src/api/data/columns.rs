//! Columns of data tables.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::parameters::{self, COLUMNS_MAX, ColumnsText};
use crate::{
    error::{Error, Reason},
    store::data::number::NumberPath,
    text::{FieldPath, Name},
};

/// Column of a data table.
#[derive(Object, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Path of the decoded field, with its parts joined by dots, such as `door.open`. A part can be the index of an
    /// array, starting at 0. A field whose own name contains dots takes precedence over a path.
    pub path: FieldPath,
    /// Type of the field. Values of other types are not stored.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: ColumnType,
    /// Unit of the values, for display.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Name>,
}

/// Type of a field: `number`, `text`, `boolean`, or `json` for any value.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Number,
    Text,
    Boolean,
    Json,
}

impl Column {
    /// Returns the unit of the values.
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }
}

/// Returns the paths of the requested columns, which must have numbers. `own` are the columns of the data table.
pub fn numeric(
    own: Option<&[Column]>,
    requested: Option<&ColumnsText>,
) -> Result<Vec<NumberPath>, Error> {
    let Some(own) = own else {
        let requested = requested.ok_or_else(|| {
            Error::of_field(
                Reason::Required,
                "columns",
                "is required: the data table has no fixed columns",
            )
        })?;
        return parameters::columns(requested.split(','));
    };
    let Some(requested) = requested else {
        let numbers = own
            .iter()
            .filter(|column| column.kind == ColumnType::Number);
        let found: Vec<NumberPath> = numbers
            .map(|column| NumberPath::of_column(&column.path))
            .collect();
        return match found.len() {
            0 => Err(Error::field(
                "columns",
                "the data table has no column of the type number",
            )),
            1..=COLUMNS_MAX => Ok(found),
            many => Err(Error::of_field(
                Reason::Required,
                "columns",
                format!("is required: the data table has {many} columns of the type number"),
            )),
        };
    };
    for path in requested.split(',') {
        let column = own.iter().find(|column| &*column.path == path);
        let rule = match column.map(|column| column.kind) {
            Some(ColumnType::Number | ColumnType::Json) => continue,
            Some(_) => format!("the column \"{path}\" has no numbers"),
            None => format!("the data table has no column \"{path}\""),
        };
        return Err(Error::field("columns", rule));
    }
    let found = requested.split(',').map(NumberPath::of_column);
    Ok(parameters::each_once(found))
}
