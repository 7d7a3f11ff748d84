//! Schema and examples of a driver version.

use poem_openapi::{
    Enum, Object,
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::{
    api::http::{
        mirror::mirror,
        types::{DriverSchema, JsonObject, JsonValue},
    },
    error::Error,
    hub::drivers::{
        examples::{Direction, Example},
        schemas::SchemaSource,
    },
    text::{Description, FunctionName},
};

/// Maximum length of a schema that is sent as text.
const SOURCE_BYTES_MAX: usize = 256 << 10;

/// Direction of a message, in the terms of TS013.
#[derive(Debug, Clone, Copy, PartialEq, Enum, Serialize, Deserialize)]
#[oai(rename = "DriverExampleType")]
enum ExampleType {
    /// Uplink to decode.
    #[oai(rename = "uplink")]
    #[serde(rename = "uplink")]
    Uplink,
    /// Downlink to encode.
    #[oai(rename = "downlink-encode")]
    #[serde(rename = "downlink-encode")]
    DownlinkEncode,
    /// Downlink to decode.
    #[oai(rename = "downlink-decode")]
    #[serde(rename = "downlink-decode")]
    DownlinkDecode,
}

/// Example of a driver version: an input and the output that a function of the script must return for it.
#[derive(Debug, Clone, PartialEq, Object, Serialize, Deserialize)]
#[oai(rename = "DriverExample")]
#[serde(deny_unknown_fields)]
pub struct ExampleBody {
    /// Direction of the message, which determines the function to call unless `function` is given: the first that
    /// the script defines of `decodeUplink`, `decode`, `Decoder` and `Decode` for `uplink`; of `encodeDownlink`,
    /// `encode`, `Encoder` and `Encode` for `downlink-encode`; `decodeDownlink` for `downlink-decode`. Omitted or
    /// null for `uplink`.
    #[oai(rename = "type")]
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<ExampleType>,
    /// Name of the function to call. Omitted or null for the function that `type` determines. The name consists of
    /// ASCII letters, digits, `_` and `$`, and does not start with a digit.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionName>,
    /// Description of the example, for people. Must not contain control characters except tabs and line breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Description>,
    /// Input of the function: `bytes`, `fPort` and optionally `recvTime` to decode, `data` to encode.
    input: JsonObject,
    /// Expected output of the function. For functions of TS013, it has `data`, `warnings` and `errors`; empty
    /// `warnings` and `errors` can be omitted. For other functions, it is the return value.
    output: JsonValue,
}

mirror!(ExampleType = Direction: Uplink, DownlinkEncode, DownlinkDecode);

impl From<ExampleBody> for Example {
    fn from(body: ExampleBody) -> Self {
        Self {
            direction: body.kind.map(ExampleType::into),
            function: body.function.map(FunctionName::into_string),
            description: body.description.map(Description::into_string),
            input: body.input.0,
            output: body.output.0,
        }
    }
}

/// Parses the examples of a stored version.
pub fn read_examples(stored: Option<&str>) -> Result<Vec<ExampleBody>, Error> {
    let Some(stored) = stored else {
        return Ok(Vec::new());
    };
    serde_json::from_str(stored).map_err(Error::internal)
}

/// Schema of a driver's output, as JSON or as YAML in a string.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaBody {
    Json(Map<String, Value>),
    Text(String),
}

impl From<SchemaBody> for SchemaSource {
    fn from(body: SchemaBody) -> Self {
        match body {
            SchemaBody::Json(members) => Self::Json(Value::Object(members)),
            SchemaBody::Text(text) => Self::Text(text),
        }
    }
}

impl<'de> Deserialize<'de> for SchemaBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if !text.is_empty() => Ok(Self::Text(text)),
            Value::Object(members) => Ok(Self::Json(members)),
            _ => Err(de::Error::custom(
                "must be an object, or JSON or YAML in a string",
            )),
        }
    }
}

impl Serialize for SchemaBody {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(members) => members.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
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
            max_length: Some(SOURCE_BYTES_MAX),
            ..MetaSchema::new("string")
        };
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            one_of: vec![
                DriverSchema::schema_ref(),
                MetaSchemaRef::Inline(Box::new(text)),
            ],
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
