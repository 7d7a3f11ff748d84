//! A parsed schema: its version and its nested properties.

use indexmap::IndexMap;
use serde_json::Value;

use super::types::Scalar;

/// A valid schema.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(super) version: Version,
    pub(super) properties: Properties,
    pub(super) document: Value,
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

/// Properties by name, in their author's order.
pub type Properties = IndexMap<String, Property>;

/// One property.
#[derive(Debug, Clone)]
pub struct Property {
    pub kind: Type,
    pub unit: Option<String>,
    pub description: Option<String>,
    /// True if a client may set it in the desired state; `None`: as the property around it.
    pub configurable: Option<bool>,
    pub default: Option<Value>,
}

/// The type of a property's values.
#[derive(Debug, Clone)]
pub enum Type {
    /// An object with the properties that it may have; `None`: any.
    Object(Option<Properties>),
    /// An array with the type of its items; `None`: any.
    Array(Option<Box<Property>>),
    Scalar(Scalar),
    /// Any JSON value.
    Any,
}

impl Schema {
    /// Version of the schema.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The schema as its author wrote it, as JSON; `version` is always there, a string.
    pub fn document(&self) -> &Value {
        &self.document
    }
}

impl Version {
    /// Returns the version as it is written in a schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2 => "2",
            Self::V2_1 => "2.1",
        }
    }

    /// Returns whether a field that is not listed is an error.
    pub(super) fn is_closed(self) -> bool {
        self != Self::V1
    }
}
