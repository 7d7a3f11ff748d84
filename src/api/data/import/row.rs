//! One row of an imported file, in the form in which a list has it.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    api::{
        data::columns::{Column, ColumnType},
        http::{
            json,
            types::{JsonValue, Timestamp},
        },
    },
    clock::Time,
    store::data::imports::Content,
    text::DeviceId,
};

/// Maximum number of unknown columns that an error names.
const NAMED_MAX: usize = 5;

/// A row that was read, or the reason why it cannot be.
pub type Read = Result<Content, Unreadable>;

/// A row that is not valid.
pub struct Unreadable {
    /// Identifier of the device, if the row contains a valid one.
    pub device_id: Option<String>,
    /// Column and the rule that it breaks.
    pub error: String,
}

/// Rules that the rows obey.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    /// Columns of the data table; `None` if it stores all fields.
    pub columns: Option<&'a [Column]>,
    /// Latest time of a row.
    pub latest: Time,
}

/// Row as it is in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowBody {
    time: Timestamp,
    device_id: DeviceId,
    data: JsonValue,
}

impl Unreadable {
    /// Returns the failure of a row.
    pub fn of(row: &Value, error: String) -> Self {
        let id = row["device_id"].as_str();
        let id = id.and_then(|id| DeviceId::new(id).ok());
        Self {
            device_id: id.map(DeviceId::into_string),
            error,
        }
    }

    /// Returns the failure of a row without a valid identifier.
    pub fn nameless(error: String) -> Self {
        Self {
            device_id: None,
            error,
        }
    }
}

impl<'a> Fields<'a> {
    /// Returns the column of a path; `None` if the data table has columns, but not this one.
    pub fn column(&self, path: &str) -> Option<&'a Column> {
        let mut columns = self.columns?.iter();
        columns.find(|column| &*column.path == path)
    }

    /// Reads a row.
    pub fn read(&self, row: Value) -> Read {
        let nameless = Unreadable::of(&row, String::new());
        self.content(row)
            .map_err(|error| Unreadable { error, ..nameless })
    }

    fn content(&self, row: Value) -> Result<Content, String> {
        let RowBody {
            time,
            device_id,
            data,
        } = json::from_value(row).map_err(|error| error.to_string())?;
        if time.0 < Time::UNIX_EPOCH {
            return Err("time: must not be before 1970".to_owned());
        }
        if time.0 > self.latest {
            return Err("time: must be at most a day ahead of the hub's clock".to_owned());
        }
        let Value::Object(data) = data.0 else {
            return Err("data: must be an object".to_owned());
        };
        let data = match self.columns {
            Some(_) => self.typed(data)?,
            None => data,
        };
        if data.is_empty() {
            return Err("data: must have at least one value".to_owned());
        }
        Ok(Content {
            device_id: device_id.into_string(),
            time: time.0,
            data,
            before: 0,
        })
    }

    /// Checks the values against the columns. A null in a column without nulls is a missing value.
    fn typed(&self, data: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let unknown = data.keys().filter(|name| self.column(name).is_none());
        let unknown: Vec<&str> = unknown.map(String::as_str).collect();
        if !unknown.is_empty() {
            return Err(format!("data: {}", no_columns(&unknown)));
        }
        let mut kept = Map::with_capacity(data.len());
        for (name, value) in data {
            let Some(column) = self.column(&name) else {
                continue;
            };
            let rule = match (column.kind, &value) {
                (ColumnType::Json, _)
                | (ColumnType::Number, Value::Number(_))
                | (ColumnType::Text, Value::String(_))
                | (ColumnType::Boolean, Value::Bool(_)) => {
                    kept.insert(name, value);
                    continue;
                }
                (_, Value::Null) => continue,
                (kind, _) => rule(kind),
            };
            return Err(format!("data.{name}: {rule}"));
        }
        Ok(kept)
    }
}

/// Returns the rule for the values of a column.
pub fn rule(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Number => "must be a number, such as 21.5",
        ColumnType::Text => "must be a text",
        ColumnType::Boolean => "must be true or false",
        ColumnType::Json => "must be JSON",
    }
}

/// Returns the rule that unknown columns break.
pub fn no_columns(names: &[&str]) -> String {
    let named: Vec<String> = names
        .iter()
        .take(NAMED_MAX)
        .map(|name| format!("\"{name}\""))
        .collect();
    let more = match names.len() > NAMED_MAX {
        true => " and others",
        false => "",
    };
    let noun = match names.len() {
        1 => "column",
        _ => "columns",
    };
    format!("the data table has no {noun} {}{more}", named.join(", "))
}
