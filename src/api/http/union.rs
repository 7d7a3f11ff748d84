//! Unions in bodies: objects whose member `type` determines the other members.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};

use super::json;

/// Deserializes a union by its member `type`. `variant` reads the variant of a tag, or returns `None` for an
/// unknown one. (serde's own tagged enums also accept arrays, and lose the path of the wrong field.)
pub fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    tags: &[&str],
    variant: impl FnOnce(&str, Members) -> Option<Result<T, String>>,
) -> Result<T, D::Error> {
    let mut members = Map::deserialize(deserializer)?;
    let tag = members.remove("type");
    let known = tag
        .as_ref()
        .and_then(Value::as_str)
        .and_then(|tag| variant(tag, Members(members)));
    match known {
        Some(read) => read.map_err(|rule| D::Error::custom(format!(".{rule}"))),
        None => Err(D::Error::custom(format!(
            ".type: must be one of {}",
            tags.join(", ")
        ))),
    }
}

/// Members of a union's variant, without its tag.
pub struct Members(Map<String, Value>);

impl Members {
    /// Reads the variant; the error names the field relative to the union.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, String> {
        json::from_value(Value::Object(self.0)).map_err(|error| error.to_string())
    }
}
