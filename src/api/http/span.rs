//! `from` and `to`: a time span, whose ends queries also give as a date or by their distance from now.

use std::{borrow::Cow, sync::LazyLock};

use chrono::TimeDelta;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};

use super::types::Timestamp;
use crate::{
    clock::Time,
    error::Error,
    store::{Scope, core::listing::Span},
};

/// Beginning or end of a time span in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointInTime {
    /// A time or the beginning of a date.
    At(Time),
    /// This long before the request.
    Before(TimeDelta),
}

const NAME: &str = "PointInTime";
const DESCRIPTION: &str = "Point in time in a query: a time in RFC 3339, such as `2026-03-02T09:30:00Z`; a date, such \
    as `2026-03-02`, for its beginning in UTC; or a time before the request, such as `-90m`, `-24h` or `-7d`, with \
    up to 5 digits and one of the units `s`, `m`, `h`, `d` and `w` (seconds, minutes, hours, days, weeks).";
const RULE: &str = "must be a time such as 2019-02-27T15:23:37.311Z, a date such as 2019-02-27, or a time before now \
    such as -24h or -7d";
/// Maximum number of digits of a time before now, with which the year stays positive.
const DIGITS_MAX: usize = 5;

/// Pattern of all texts that are read. It knows the lengths of months, so that no text fits it and is refused.
static PATTERN: LazyLock<String> = LazyLock::new(|| {
    let leap = "([0-9][0-9](0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29";
    let day = "(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31";
    let date = format!("([0-9]{{4}}-({day})|{leap})");
    let hours = "([01][0-9]|2[0-3])";
    let offset = format!("([Zz]|[+-]{hours}:[0-5][0-9])");
    let time = format!(r"[Tt]{hours}:[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,9}})?{offset}");
    format!("^({date}({time})?|-[0-9]{{1,{DIGITS_MAX}}}[smhdw])$")
});

/// Returns the span between two parameters of a query, each of which may be missing; fails if `to` is before `from`. The
/// time is that of the database, by whose times the span selects.
pub fn asked(
    from: Option<PointInTime>,
    to: Option<PointInTime>,
    scope: &Scope,
) -> Result<Span, Error> {
    let now = scope.now();
    let time = |point: PointInTime| point.time(now);
    between(from.map(time), to.map(time))
}

/// Returns the span between two fields, each of which may be missing; fails if `to` is before `from`.
pub fn read(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Span, Error> {
    let time = |timestamp: Timestamp| timestamp.0;
    between(from.map(time), to.map(time))
}

fn between(from: Option<Time>, to: Option<Time>) -> Result<Span, Error> {
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Error::field("to", "must not be before from"));
    }
    Ok(Span { from, to })
}

impl PointInTime {
    fn parse(text: &str) -> Option<Self> {
        if let Some(before) = text.strip_prefix('-') {
            return duration(before).map(Self::Before);
        }
        let is_date = text.len() == "2019-02-27".len();
        let text = match is_date {
            true => Cow::Owned(format!("{text}T00:00:00Z")),
            false => Cow::Borrowed(text),
        };
        Timestamp::parse_from_parameter(&text)
            .ok()
            .map(|time| Self::At(time.0))
    }

    /// Returns the time that a request means which comes now.
    fn time(self, now: Time) -> Time {
        match self {
            Self::At(time) => time,
            Self::Before(distance) => now - distance,
        }
    }
}

fn duration(text: &str) -> Option<TimeDelta> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count = digits.parse().ok().filter(|_| is_number)?;
    match unit {
        "s" => TimeDelta::try_seconds(count),
        "m" => TimeDelta::try_minutes(count),
        "h" => TimeDelta::try_hours(count),
        "d" => TimeDelta::try_days(count),
        "w" => TimeDelta::try_weeks(count),
        _ => None,
    }
}

impl Type for PointInTime {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        NAME.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(NAME.to_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(NAME.to_owned(), |_| MetaSchema {
            description: Some(DESCRIPTION),
            pattern: Some(PATTERN.clone()),
            example: Some("2026-03-02T09:30:00Z".into()),
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

impl ParseFromParameter for PointInTime {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::parse(value).ok_or_else(|| ParseError::custom(RULE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, string::string_regex};
    use regex::Regex;

    use super::*;

    fn now() -> Time {
        "2026-11-29T12:30:00Z".parse().unwrap()
    }

    #[test]
    fn a_point_in_time_is_a_time_a_date_or_a_distance() {
        for (text, expected) in [
            ("2026-03-02T09:30:00.5+01:00", "2026-03-02T08:30:00.5Z"),
            ("2026-03-02", "2026-03-02T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z"),
            ("-90m", "2026-11-29T11:00:00Z"),
            ("-30s", "2026-11-29T12:29:30Z"),
            ("-24h", "2026-11-28T12:30:00Z"),
            ("-7d", "2026-11-22T12:30:00Z"),
            ("-2w", "2026-11-15T12:30:00Z"),
            ("-0d", "2026-11-29T12:30:00Z"),
        ] {
            let expected: Time = expected.parse().unwrap();
            let read = PointInTime::parse(text).map(|point| point.time(now()));
            assert_eq!(read, Some(expected), "{text}");
        }
        for text in [
            "",
            "-",
            "7d",
            "+7d",
            "-d",
            "-7",
            "-7y",
            "-7D",
            "-1000000d",
            "- 7d",
            "--7d",
            "-7.5d",
            "-٣d",
            "yesterday",
            "2026-13-01",
            "2026-02-29",
            "2026-3-02",
            "2026-03",
            "20260302",
            "2026-03-02T09:30",
            "2026-03-02T09:30:00",
            "2026-03-02 09:30:00Z",
        ] {
            assert_eq!(PointInTime::parse(text), None, "{text}");
            assert!(!Regex::new(&PATTERN).unwrap().is_match(text), "{text}");
        }
    }

    #[test]
    fn even_the_longest_distance_is_a_time_that_databases_compare() {
        for unit in ["s", "m", "h", "d", "w"] {
            let text = format!("-{}{unit}", "9".repeat(DIGITS_MAX));
            let time = PointInTime::parse(&text).unwrap().time(now());
            assert!(time > "0001-01-01T00:00:00Z".parse::<Time>().unwrap());
        }
    }

    proptest! {
        #[test]
        fn what_fits_the_pattern_is_read(text in string_regex(PATTERN.trim_matches(['^', '$'])).unwrap()) {
            prop_assert!(PointInTime::parse(&text).is_some(), "{}", text);
        }

        #[test]
        fn a_date_is_read_if_it_fits_the_pattern(year in 0..10_000, month in 0..14, day in 0..33) {
            let text = format!("{year:04}-{month:02}-{day:02}");
            let fits = Regex::new(&PATTERN).unwrap().is_match(&text);
            prop_assert_eq!(PointInTime::parse(&text).is_some(), fits, "{}", text);
        }
    }
}
