//! Value types of the API. serde checks their bounds when a body is read, and the OpenAPI document states them
//! from the same constants.
//!
//! poem-openapi's own `String` accepts numbers and booleans as text, and its validators are separate from the
//! types; these types avoid both.

use std::{borrow::Cow, ops::Deref};

use chrono::DateTime;
use poem_openapi::{
    registry::{MetaExternalDocument, MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::{
    clock::{self, Time},
    text::{DeviceLabel, DeviceLabelKind, Kind, Text},
};

/// Maximum nesting depth of JSON that clients define themselves.
const JSON_DEPTH_MAX: usize = 16;

/// Returns a rule in words, for the place in a schema where `document::rules` finds it: the framework replaces the
/// description of a type by that of the field.
pub fn in_words(rule: &str) -> Option<MetaExternalDocument> {
    Some(MetaExternalDocument {
        url: rule.to_owned(),
        description: None,
    })
}

macro_rules! value_type {
    ([$($generics:tt)*] $type:ty, $name:expr, $schema:expr) => {
        impl<$($generics)*> Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl<$($generics)*> ParseFromJSON for $type {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
            }
        }

        impl<$($generics)*> ToJSON for $type {
            fn to_json(&self) -> Option<Value> {
                serde_json::to_value(self).ok()
            }
        }
    };
}

value_type!([K: Kind] Text<K>, "text", MetaSchema {
    min_length: Some(K::MIN),
    max_length: Some(K::MAX),
    pattern: Some(K::PATTERN.to_owned()),
    external_docs: in_words(K::RULE),
    example: Some(K::EXAMPLE.into()),
    ..MetaSchema::new("string")
});

impl<K: Kind> ParseFromParameter for Text<K> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Text::new(value).map_err(ParseError::custom)
    }
}

/// An integer between `MIN` and `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Int<const MIN: i64, const MAX: i64>(i64);

/// Largest integer that every JSON parser represents exactly.
const EXACT: i64 = 9_007_199_254_740_991;

/// Integer id of a resource.
pub type Id = Int<1, EXACT>;
/// A count.
pub type Count = Int<0, EXACT>;
/// Maximum number of items on a page.
pub type Limit = Int<1, 1000>;
/// Duration of silence in seconds, of up to ten years.
pub type Silence = Int<1, 315_360_000>;
/// Time for which data are kept, in days: up to about a hundred years.
pub type RetentionDays = Int<1, 36_500>;
/// LoRaWAN port.
pub type Port = Int<0, 255>;
/// HTTP status code.
pub type Status = Int<100, 599>;

impl<const MIN: i64, const MAX: i64> Int<MIN, MAX> {
    /// The upper bound.
    pub const GREATEST: i64 = MAX;

    /// Checks the bounds; the error is the rule that the value breaks.
    pub fn new(value: i64) -> Result<Self, String> {
        if (MIN..=MAX).contains(&value) {
            Ok(Self(value))
        } else {
            Err(Self::rule())
        }
    }

    /// Returns the nearest valid value, for numbers that the hub itself has counted.
    pub fn saturating(value: impl TryInto<i64>) -> Self {
        Self(value.try_into().unwrap_or(MAX).clamp(MIN, MAX))
    }

    /// Returns the value as it is stored.
    pub fn stored(self) -> i32 {
        i32::try_from(self.0).unwrap_or(i32::MAX)
    }

    fn rule() -> String {
        format!("must be an integer from {MIN} to {MAX}")
    }
}

impl<const MIN: i64, const MAX: i64> Deref for Int<MIN, MAX> {
    type Target = i64;
    fn deref(&self) -> &i64 {
        &self.0
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Int<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

value_type!([const MIN: i64, const MAX: i64] Int<MIN, MAX>, "integer", MetaSchema {
    minimum: Some(MIN as f64),
    maximum: Some(MAX as f64),
    ..MetaSchema::new_with_format("integer", "int64")
});

impl<const MIN: i64, const MAX: i64> ParseFromParameter for Int<MIN, MAX> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        let digits = value.strip_prefix('-').unwrap_or(value);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse() {
            Ok(value) if plain => Self::new(value).map_err(ParseError::custom),
            _ => Err(ParseError::custom(Self::rule())),
        }
    }
}

/// Maximum number of labels of a device.
pub const LABELS_MAX: usize = 64;

/// Maximum number of labels in one query parameter, because the length of a URL is bounded.
const LABELS_AT_ONCE_MAX: usize = 16;

/// Labels in a query parameter, separated by commas.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Labels(pub Vec<String>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Labels {
    fn parse(text: &str) -> Result<Self, String> {
        let labels = text.split(',').map(DeviceLabel::new);
        let labels: Vec<String> = labels
            .map(|label| label.map(DeviceLabel::into_string))
            .collect::<Result<_, _>>()
            .map_err(|rule| format!("each {rule}"))?;
        if labels.len() > LABELS_AT_ONCE_MAX {
            return Err(format!("must have at most {LABELS_AT_ONCE_MAX} labels"));
        }
        Ok(Self(labels))
    }
}

value_type!([] Labels, "labels", MetaSchema {
    min_length: Some(1),
    max_length: Some(LABELS_AT_ONCE_MAX * 121 - 1),
    pattern: Some({
        let label = DeviceLabelKind::PATTERN.trim_matches(['^', '$']);
        format!("^{label}(,{label}){{0,{}}}$", LABELS_AT_ONCE_MAX - 1)
    }),
    external_docs: in_words(&format!("each {}", DeviceLabelKind::RULE)),
    example: Some("site=hamburg,indoor".into()),
    ..MetaSchema::new("string")
});

impl ParseFromParameter for Labels {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::parse(value).map_err(ParseError::custom)
    }
}

/// Returns `true`, as the default of boolean members.
pub fn yes() -> bool {
    true
}

/// A point in time in RFC 3339; returned in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Timestamp(pub Time);

impl Timestamp {
    fn parse(text: &str) -> Result<Self, String> {
        const RULE: &str = "must be a time such as 2019-02-27T15:23:37.311Z";
        // chrono also accepts a blank in place of the T, which the document's format does not allow.
        let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) if separated => Ok(Self(clock::cut(time.to_utc()))),
            _ => Err(RULE.to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

value_type!([] Timestamp, "time", MetaSchema {
    example: Some("2026-03-02T09:30:00Z".into()),
    ..MetaSchema::new_with_format("string", "date-time")
});

impl ParseFromParameter for Timestamp {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::parse(value).map_err(ParseError::custom)
    }
}

/// A JSON object that a client or a driver defines.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
#[serde(transparent)]
pub struct JsonObject(pub Map<String, Value>);

impl JsonObject {
    /// Maximum number of members of the object.
    pub const MEMBERS_MAX: usize = 256;
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not deserialized as a map, because that would accept null as an empty one.
        let object = match Value::deserialize(deserializer)? {
            Value::Object(object) => object,
            _ => return Err(de::Error::custom("must be an object")),
        };
        if object.len() > Self::MEMBERS_MAX {
            return Err(de::Error::custom(format!(
                "must have at most {} members",
                Self::MEMBERS_MAX
            )));
        }
        check_object(&object, 1).map_err(de::Error::custom)?;
        Ok(Self(object))
    }
}

fn check_object(object: &Map<String, Value>, depth: usize) -> Result<(), String> {
    if object.keys().any(|key| key.contains('\0')) {
        return Err("must have no NUL character in a member's name".to_owned());
    }
    object
        .values()
        .try_for_each(|value| check_value(value, depth + 1))
}

fn check_value(value: &Value, depth: usize) -> Result<(), String> {
    if depth > JSON_DEPTH_MAX {
        return Err(format!("must not nest deeper than {JSON_DEPTH_MAX} levels"));
    }
    match value {
        Value::String(text) if text.contains('\0') => {
            Err("must have no NUL character in a text".to_owned())
        }
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| check_value(item, depth + 1)),
        Value::Object(object) => check_object(object, depth),
        _ => Ok(()),
    }
}

value_type!([] JsonObject, "object", MetaSchema {
    additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
    max_properties: Some(JsonObject::MEMBERS_MAX),
    example: Some(serde_json::json!({"temperature": 21.5})),
    ..MetaSchema::new("object")
});

/// Any JSON value that a client defines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct JsonValue(pub Value);

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        check_value(&value, 1).map_err(de::Error::custom)?;
        Ok(Self(value))
    }
}

value_type!([] JsonValue, "any", MetaSchema {
    example: Some(serde_json::json!({"temperature": 21.5})),
    ..MetaSchema::ANY
});

/// Successive waiting times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Waits(pub Vec<u64>);

impl Waits {
    /// Maximum number of waiting times.
    const MAX: usize = 20;
    /// Longest waiting time in seconds: a week.
    const SECONDS_MAX: u64 = 604_800;
}

impl<'de> Deserialize<'de> for Waits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let waits = Vec::<u64>::deserialize(deserializer)?;
        if waits.len() > Self::MAX {
            let rule = format!("must have at most {} items", Self::MAX);
            return Err(de::Error::custom(rule));
        }
        if waits.iter().any(|wait| *wait > Self::SECONDS_MAX) {
            let rule = format!("each must be an integer from 0 to {}", Self::SECONDS_MAX);
            return Err(de::Error::custom(rule));
        }
        Ok(Self(waits))
    }
}

value_type!([] Waits, "waits", MetaSchema {
    items: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema {
        minimum: Some(0.0),
        maximum: Some(Waits::SECONDS_MAX as f64),
        ..MetaSchema::new_with_format("integer", "int64")
    })))),
    max_items: Some(Waits::MAX),
    example: Some(serde_json::json!([5, 30, 120, 600, 3600])),
    ..MetaSchema::new("array")
});

/// A list of `MIN` to `MAX` items. Repeated items count once: a rule against them would make client generators
/// represent lists as sets, which lose their order or do not compile.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct List<T, const MIN: usize, const MAX: usize>(pub Vec<T>);

impl<T, const MIN: usize, const MAX: usize> Default for List<T, MIN, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de> + PartialEq, const MIN: usize, const MAX: usize> Deserialize<'de>
    for List<T, MIN, MAX>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<T>::deserialize(deserializer)?;
        if items.len() < MIN || items.len() > MAX {
            return Err(de::Error::custom(format!("must have {MIN} to {MAX} items")));
        }
        let mut distinct: Vec<T> = Vec::with_capacity(items.len());
        for item in items {
            if !distinct.contains(&item) {
                distinct.push(item);
            }
        }
        Ok(Self(distinct))
    }
}

impl<T: Type, const MIN: usize, const MAX: usize> Type for List<T, MIN, MAX> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "list".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            items: Some(Box::new(T::schema_ref())),
            min_items: Some(MIN).filter(|min| *min > 0),
            max_items: Some(MAX),
            external_docs: in_words("repeated items count once"),
            ..MetaSchema::new("array")
        }))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T: ParseFromJSON + de::DeserializeOwned + PartialEq, const MIN: usize, const MAX: usize>
    ParseFromJSON for List<T, MIN, MAX>
{
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
    }
}

impl<T: ToJSON + Serialize, const MIN: usize, const MAX: usize> ToJSON for List<T, MIN, MAX> {
    fn to_json(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }
}
