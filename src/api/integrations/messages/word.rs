//! A member whose value is one of a few fixed words.

use std::{borrow::Cow, marker::PhantomData};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// The words that a member may have.
pub trait Words: Send + Sync + 'static {
    const WORDS: &'static [&'static str];
}

/// One of the words of `W`. Its schema stands in place, because a component for each single word would be noise.
pub struct Word<W>(String, PhantomData<W>);

impl<W: Words> Type for Word<W> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "word".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            enum_items: W::WORDS.iter().map(|word| (*word).into()).collect(),
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<W: Words> ParseFromJSON for Word<W> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(word)) if W::WORDS.contains(&word.as_str()) => {
                Ok(Self(word, PhantomData))
            }
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl<W: Words> ToJSON for Word<W> {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.as_str().into())
    }
}

/// Declares a type with the words that a member may have.
macro_rules! words {
    ($name:ident: $($word:literal),+) => {
        pub struct $name;

        impl $crate::api::integrations::messages::word::Words for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];
        }
    };
}

pub(super) use words;
