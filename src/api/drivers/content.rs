//! Schema and examples of a driver version.

use std::borrow::Cow;

use poem_openapi::{
    Enum, Object,
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::{
    api::http::{
        mirror::mirror,
        types::{JsonObject, JsonValue},
    },
    error::Error,
    hub::drivers::{
        examples::{Direction, Example},
        schemas::SchemaSource,
    },
    text::{Description, FunctionName},
};

/// Maximum number of properties of a schema, at all levels together.
const PROPERTIES_MAX: usize = 1_000;
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
    /// Description of the example, for people.
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

/// Implements [`Type`] with a named schema, so that client generators name a type after it.
macro_rules! named_type {
    ($type:ty, $name:literal, |$registry:ident| $schema:expr) => {
        impl Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Reference($name.to_owned())
            }

            fn register($registry: &mut Registry) {
                $registry.create_schema::<Self, _>($name.to_owned(), |$registry| $schema);
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromJSON for $type {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
            }
        }

        impl ToJSON for $type {
            fn to_json(&self) -> Option<Value> {
                serde_json::to_value(self).ok()
            }
        }
    };
}

/// A driver's schema as JSON; `driver::schema` checks its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DriverSchema(pub Map<String, Value>);

named_type!(DriverSchema, "DriverSchema", |_registry| {
    let free = || Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY))));
    let property = MetaSchema {
        additional_properties: free(),
        ..MetaSchema::new("object")
    };
    let version = MetaSchema {
        description: Some("Version of the schema language: `1`, `2` or `2.1`"),
        pattern: Some(r"^(1|1\.0|2|2\.0|2\.1)$".to_owned()),
        default: Some("1".into()),
        ..MetaSchema::new("string")
    };
    let properties = MetaSchema {
        description: Some(
            "Properties of the decoded data by their names, each with `type`, `unit`, `description`, `configurable`, `default`, `properties` or `items`, or a group of such",
        ),
        additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(property)))),
        max_properties: Some(PROPERTIES_MAX),
        ..MetaSchema::new("object")
    };
    MetaSchema {
        description: Some(
            "What a driver decodes to, in the schema language of drivers. Other members start with `x-`",
        ),
        required: vec!["properties"],
        properties: vec![
            ("version", MetaSchemaRef::Inline(Box::new(version))),
            ("properties", MetaSchemaRef::Inline(Box::new(properties))),
        ],
        additional_properties: free(),
        example: Some(serde_json::json!({
            "version": "2",
            "properties": {"temperature": {"type": "float64", "unit": "°C"}},
        })),
        ..MetaSchema::new("object")
    }
});

/// Schema of a driver's output, as JSON or as a text in YAML or JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaBody {
    Json(DriverSchema),
    Text(String),
}

named_type!(SchemaBody, "DriverSchemaSource", |registry| {
    DriverSchema::register(registry);
    let text = MetaSchema {
        description: Some("The schema as a text in YAML or JSON"),
        min_length: Some(1),
        max_length: Some(SOURCE_BYTES_MAX),
        // The place cannot say so itself: null beside a reference is lost on most client generators.
        nullable: true,
        ..MetaSchema::new("string")
    };
    MetaSchema {
        description: Some("A driver's schema, as an object or as a text; null is no schema"),
        one_of: vec![
            DriverSchema::schema_ref(),
            MetaSchemaRef::Inline(Box::new(text)),
        ],
        ..MetaSchema::ANY
    }
});

impl From<SchemaBody> for SchemaSource {
    fn from(body: SchemaBody) -> Self {
        match body {
            SchemaBody::Json(DriverSchema(members)) => Self::Json(Value::Object(members)),
            SchemaBody::Text(text) => Self::Text(text),
        }
    }
}

impl<'de> Deserialize<'de> for SchemaBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if !text.is_empty() => Ok(Self::Text(text)),
            Value::Object(members) => Ok(Self::Json(DriverSchema(members))),
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
