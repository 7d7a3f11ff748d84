//! What is in a version of a driver beside its script: its schema and its examples.

use poem_openapi::{
    Enum, Object,
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Value, json};

use super::types::{JsonObject, JsonValue};
use crate::{
    error::Error,
    text::{Description, FunctionName},
};

/// Bytes of JSON that a schema, or all examples of a version together, may have.
const PART_BYTES_MAX: usize = 256 << 10;

/// Which way a message goes, as TS013 calls it
#[derive(Debug, Clone, Copy, PartialEq, Enum, Serialize, Deserialize)]
#[oai(rename = "DriverExampleType")]
enum ExampleType {
    /// From the device.
    #[oai(rename = "uplink")]
    #[serde(rename = "uplink")]
    Uplink,
    /// To the device, to be encoded.
    #[oai(rename = "downlink-encode")]
    #[serde(rename = "downlink-encode")]
    DownlinkEncode,
    /// To the device, to be decoded.
    #[oai(rename = "downlink-decode")]
    #[serde(rename = "downlink-decode")]
    DownlinkDecode,
}

/// What a driver must make of an input
#[derive(Debug, Clone, PartialEq, Object, Serialize, Deserialize)]
#[oai(rename = "DriverExample")]
#[serde(deny_unknown_fields)]
pub struct ExampleBody {
    /// Which way the message goes, where `function` does not say what to call; `uplink` if neither is given
    #[oai(rename = "type")]
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<ExampleType>,
    /// The function to call, in place of the one that fits the type
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionName>,
    /// What it shows, for people
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Description>,
    /// What the function gets: `bytes`, `fPort`, `recvTime` ... for what is decoded, `data` for what is encoded
    input: JsonObject,
    /// What it must give back: `data`, `warnings` and `errors` (empty ones may be left out), or what a function of another dialect returns
    output: JsonValue,
}

/// The examples of a version, as they are stored; `None` where there are none.
pub fn stored_examples(examples: Vec<ExampleBody>) -> Result<Option<Value>, Error> {
    if examples.is_empty() {
        return Ok(None);
    }
    let examples = serde_json::to_value(examples).map_err(Error::internal)?;
    check_size("examples", &examples)?;
    Ok(Some(examples))
}

/// The examples of a stored version.
pub fn read_examples(stored: Option<&str>) -> Result<Vec<ExampleBody>, Error> {
    let Some(stored) = stored else {
        return Ok(Vec::new());
    };
    serde_json::from_str(stored).map_err(Error::internal)
}

fn check_size(field: &str, value: &Value) -> Result<(), Error> {
    if value.to_string().len() > PART_BYTES_MAX {
        let rule = format!("must have at most {PART_BYTES_MAX} bytes of JSON");
        return Err(Error::field(field, rule));
    }
    Ok(())
}

/// What a driver decodes to: JSON, or YAML in a text.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaBody {
    Json(JsonObject),
    Yaml(String),
}

impl SchemaBody {
    /// As JSON, whatever it was written in.
    pub fn read(self) -> Result<Value, Error> {
        let value = match self {
            Self::Json(object) => Value::Object(object.0),
            Self::Yaml(text) => {
                let object: JsonObject = serde_yaml::from_str(&text).map_err(|error| {
                    Error::field("schema", format!("is no YAML object: {error}"))
                })?;
                Value::Object(object.0)
            }
        };
        check_size("schema", &value)?;
        Ok(value)
    }
}

impl<'de> Deserialize<'de> for SchemaBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rule = || de::Error::custom("must be an object, or YAML in a string");
        match Value::deserialize(deserializer)? {
            Value::String(text) if text.len() > PART_BYTES_MAX => Err(de::Error::custom(format!(
                "must have at most {PART_BYTES_MAX} bytes"
            ))),
            Value::String(text) => Ok(Self::Yaml(text)),
            object @ Value::Object(_) => {
                let object = serde_json::from_value(object).map_err(de::Error::custom)?;
                Ok(Self::Json(object))
            }
            _ => Err(rule()),
        }
    }
}

impl Serialize for SchemaBody {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(object) => object.serialize(serializer),
            Self::Yaml(text) => text.serialize(serializer),
        }
    }
}

impl Type for SchemaBody {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> std::borrow::Cow<'static, str> {
        "schema".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let text = MetaSchema {
            min_length: Some(1),
            max_length: Some(PART_BYTES_MAX),
            ..MetaSchema::new("string")
        };
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            one_of: vec![
                JsonObject::schema_ref(),
                MetaSchemaRef::Inline(Box::new(text)),
            ],
            example: Some(json!({"version": 2})),
            ..MetaSchema::ANY
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for SchemaBody {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
    }
}

impl ToJSON for SchemaBody {
    fn to_json(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }
}
