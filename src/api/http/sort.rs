//! `sort`: the orders of each list and their names in the API.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};

use crate::store::{
    core::listing::{ResourceOrder, Sort},
    devices::list as devices,
    drivers::list as drivers,
};

/// Orders of a list.
pub trait SortFields: Copy + Send + Sync + 'static {
    /// Name of the schema.
    const NAME: &'static str;
    /// Description of the schema.
    const DESCRIPTION: &'static str;
    /// Order of a list for which the client requests none.
    const DEFAULT: &'static str;
    /// Orders by name; the prefix `-` reverses them.
    const FIELDS: &'static [(&'static str, Self)];
}

/// Order that a client requests.
#[derive(Clone, Copy)]
pub struct SortBy<F>(pub Sort<F>);

impl SortFields for ResourceOrder {
    const NAME: &'static str = "ResourceSort";
    const DESCRIPTION: &'static str = "Sort key of a list of resources. A leading `-` reverses the order: \
        `-created_at` returns the newest resource first. Resources with equal keys are ordered by creation.";
    const DEFAULT: &'static str = "created_at";
    const FIELDS: &'static [(&'static str, Self)] = &[
        ("created_at", Self::Created),
        ("name", Self::Name),
        ("updated_at", Self::Updated),
    ];
}

impl SortFields for devices::SortBy {
    const NAME: &'static str = "DeviceSort";
    const DESCRIPTION: &'static str = "Sort key of a list of devices. A leading `-` reverses the order. \
        Devices without a name sort before all names, and devices that have never sent a message sort before all \
        values of `last_seen`. Devices with equal keys are ordered by creation.";
    const DEFAULT: &'static str = "created_at";
    const FIELDS: &'static [(&'static str, Self)] = &[
        ("created_at", Self::Created),
        ("id", Self::Id),
        ("name", Self::Name),
        ("updated_at", Self::Updated),
        ("last_seen", Self::LastSeen),
    ];
}

impl SortFields for drivers::SortBy {
    const NAME: &'static str = "DriverSort";
    const DESCRIPTION: &'static str = "Sort key of a list of drivers. A leading `-` reverses the order. \
        Drivers with equal keys are ordered by creation.";
    const DEFAULT: &'static str = "created_at";
    const FIELDS: &'static [(&'static str, Self)] = &[
        ("created_at", Self::Created),
        ("name", Self::Name),
        ("author", Self::Author),
        ("updated_at", Self::Updated),
    ];
}

/// The one order of events: by time.
#[derive(Clone, Copy)]
pub struct At;

impl SortFields for At {
    const NAME: &'static str = "TimeSort";
    const DESCRIPTION: &'static str =
        "Order of a list of events: `-at` returns the newest first, `at` the oldest first.";
    const DEFAULT: &'static str = "-at";
    const FIELDS: &'static [(&'static str, Self)] = &[("at", Self)];
}

/// The one order of queued deliveries: by creation time.
#[derive(Clone, Copy)]
pub struct QueuedAt;

impl SortFields for QueuedAt {
    const NAME: &'static str = "DeliverySort";
    const DESCRIPTION: &'static str =
        "Order of the list: `-created_at` returns the newest first, `created_at` the oldest first.";
    const DEFAULT: &'static str = "-created_at";
    const FIELDS: &'static [(&'static str, Self)] = &[("created_at", Self)];
}

/// The one order of the rows of a data table: by their time.
#[derive(Clone, Copy)]
pub struct RowTime;

impl SortFields for RowTime {
    const NAME: &'static str = "RowSort";
    const DESCRIPTION: &'static str = "Order of the rows of a data table: `time` returns the oldest first, `-time` \
        the newest first. Rows with equal times are ordered by their recording.";
    const DEFAULT: &'static str = "time";
    const FIELDS: &'static [(&'static str, Self)] = &[("time", Self)];
}

impl<F: SortFields> SortBy<F> {
    /// Returns the requested order, or ascending by `by`.
    pub fn or(asked: Option<Self>, by: F) -> Sort<F> {
        let descending = false;
        asked.map_or(Sort { by, descending }, |asked| asked.0)
    }

    /// True if the newest comes first, in a list with one order that begins with the newest by default.
    pub fn is_newest_first(asked: Option<Self>) -> bool {
        asked.is_none_or(|asked| asked.0.descending)
    }

    /// True if the newest comes first, in a list with one order that begins with the oldest by default.
    pub fn asks_for_newest_first(asked: Option<Self>) -> bool {
        asked.is_some_and(|asked| asked.0.descending)
    }

    fn values() -> impl Iterator<Item = String> {
        let fields = F::FIELDS.iter();
        fields.flat_map(|(name, _)| [(*name).to_owned(), format!("-{name}")])
    }
}

impl<F: SortFields> Type for SortBy<F> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        F::NAME.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(F::NAME.to_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(F::NAME.to_owned(), |_| MetaSchema {
            description: Some(F::DESCRIPTION),
            enum_items: Self::values().map(Into::into).collect(),
            default: Some(F::DEFAULT.into()),
            ..MetaSchema::new("string")
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<F: SortFields> ParseFromParameter for SortBy<F> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        let (name, descending) = match value.strip_prefix('-') {
            Some(name) => (name, true),
            None => (value, false),
        };
        let field = F::FIELDS.iter().find(|(field, _)| *field == name);
        match field {
            Some((_, by)) => Ok(Self(Sort {
                by: *by,
                descending,
            })),
            None => {
                let known: Vec<String> = Self::values().collect();
                let rule = format!("must be one of {}", known.join(", "));
                Err(ParseError::custom(rule))
            }
        }
    }
}
