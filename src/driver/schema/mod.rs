//! A driver's schema: what its data look like, told before the first uplink.
//!
//! Versions 1, 2 and 2.1 of the public driver SDK's form, as JSON or YAML. All three list properties
//! with type, unit and description; 2 and 2.1 are closed: a field that is not listed is an error.
//! Every field is optional in all of them. What the public sources leave open is decided in
//! `docs/driver-schema.md`.
//!
//! Pure: text in, answers out, nothing is read or written. Whatever the text, reading it costs no
//! more than the bounds below allow.
//!
//! | file | what it holds |
//! |---|---|
//! | `document.rs` | text to JSON, within bounds, whatever the text |
//! | `read.rs` | JSON to properties, or the place where it is wrong |
//! | `types.rs` | the types, their names, and which values they admit |
//! | `check.rs` | whether data obey the schema |
//! | `listing.rs` | what the schema tells: columns, what can be configured, defaults |

mod check;
mod document;
mod listing;
mod read;
#[cfg(test)]
mod tests;
mod types;

use std::sync::Arc;

use serde_json::Value;

pub use check::Violation;
pub use listing::{Column, ColumnKind};
use read::Properties;

/// Length of a schema's text in bytes.
pub const SOURCE_BYTES_MAX: usize = 256 << 10;
/// Values in a schema, those that YAML aliases repeat included.
pub const NODES_MAX: usize = 50_000;
/// How deep values may lie inside one another in a schema's text.
pub const DEPTH_MAX: usize = 40;
/// Properties of a schema, at all levels together.
pub const PROPERTIES_MAX: usize = 1_000;
/// How deep properties may lie inside one another.
pub const PROPERTY_DEPTH_MAX: usize = 16;
/// Length of a property's name in characters.
pub const NAME_MAX: usize = 120;
/// Length of a unit in characters.
pub const UNIT_MAX: usize = 32;
/// Length of a description in characters.
pub const DESCRIPTION_MAX: usize = 2_000;

/// A schema that was read and is right.
#[derive(Debug, Clone)]
pub struct Schema {
    version: Version,
    properties: Properties,
    document: Value,
}

/// The form of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Open: a field that is not listed passes.
    V1,
    /// Closed: a field that is not listed is an error.
    V2,
    /// As 2.
    V2_1,
}

/// Why a schema is refused: the place in it, and the broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct SchemaError {
    /// The place, from `schema` on, its parts joined by dots.
    pub path: String,
    /// The rule.
    pub message: String,
}

impl SchemaError {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl Schema {
    /// Reads a schema from JSON or YAML. A text that is an object with the one member `schema`, as in
    /// a driver's `.project` file, means that member.
    pub fn parse(text: &str) -> Result<Arc<Self>, SchemaError> {
        let mut document = document::read(text)?;
        if let Value::Object(object) = &mut document
            && object.len() == 1
            && let Some(inner) = object.get_mut("schema")
        {
            document = inner.take();
        }
        read::schema(document).map(Arc::new)
    }

    /// Reads a schema that is JSON already.
    pub fn from_value(document: Value) -> Result<Arc<Self>, SchemaError> {
        document::check(&document)?;
        read::schema(document).map(Arc::new)
    }

    /// Which form it has.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The schema as its author wrote it, as JSON; `version` is always there, a string.
    pub fn document(&self) -> &Value {
        &self.document
    }
}

impl Version {
    /// As it stands in a schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2 => "2",
            Self::V2_1 => "2.1",
        }
    }

    fn is_closed(self) -> bool {
        self != Self::V1
    }
}
