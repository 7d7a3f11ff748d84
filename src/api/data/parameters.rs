//! Query parameters of aggregations and charts. Each is a text that the hub parses; the document has its pattern.

use poem_openapi::Enum;

use crate::{
    error::Error,
    hub::data::{
        aggregate::GroupBy, calendar::parse_zone, functions::Function, interval::Interval,
    },
    store::data::number::NumberPath,
    text::{DeviceId, Kind, Precision, Text},
};

/// Maximum number of columns of one request.
pub const COLUMNS_MAX: usize = 16;
/// Maximum number of devices of one request.
const DEVICES_MAX: usize = 100;
/// Prefix of a label key in `group_by`.
const LABEL: &str = "label:";

macro_rules! text_parameters {
    ($($(#[$doc:meta])* $alias:ident = $kind:ident { $min:literal ..= $max:expr, $pattern:expr, $rule:expr, $example:expr, $admits:expr, $precision:ident })*) => {$(
        $(#[$doc])*
        pub type $alias = Text<$kind>;

        #[doc = concat!("Rule of [`", stringify!($alias), "`].")]
        #[derive(Clone, Debug, PartialEq)]
        pub struct $kind;

        impl Kind for $kind {
            const MIN: usize = $min;
            const MAX: usize = $max;
            const RULE: &'static str = $rule;
            const PATTERN: &'static str = $pattern;
            const PRECISION: Precision = Precision::$precision;
            const EXAMPLE: &'static str = $example;
            fn admits(text: &str) -> bool {
                let admits: fn(&str) -> bool = $admits;
                admits(text)
            }
        }
    )*};
}

text_parameters! {
    /// Length of the buckets.
    IntervalText = IntervalKind {
        2..=4, Interval::PATTERN, Interval::RULE, "1h",
        |text| Interval::parse(text).is_some(), Exact
    }
    /// Functions, separated by commas.
    FunctionsText = FunctionsKind {
        2..=120,
        "^(avg|min|max|sum|count|first|last|stddev|p1|p5|p10|p25|p50|p75|p90|p95|p99)(,(avg|min|max|sum|count|first|last|stddev|p1|p5|p10|p25|p50|p75|p90|p95|p99))*$",
        "must be names from avg, min, max, sum, count, first, last, stddev, p1, p5, p10, p25, p50, p75, p90, p95 and p99, separated by commas",
        "avg,max", |text| Function::parse_list(text).is_some(), Exact
    }
    /// Paths of columns, separated by commas.
    ColumnsText = ColumnsKind {
        1..=2000,
        r#"^[^\x00-\x1f\x7f,]+(,[^\x00-\x1f\x7f,]+){0,15}$"#,
        "must be 1 to 16 paths of columns, separated by commas, without control characters",
        "temperature,humidity", are_columns, Part
    }
    /// Identifiers of devices, separated by commas.
    DevicesText = DevicesKind {
        1..=6399,
        "^[A-Za-z0-9]+(-[A-Za-z0-9]+)*(,[A-Za-z0-9]+(-[A-Za-z0-9]+)*){0,99}$",
        "must be 1 to 100 identifiers of devices with at most 63 characters each, separated by commas",
        "hh-office-201,hh-office-202", are_devices, Part
    }
    /// Name of a time zone.
    ZoneText = ZoneKind {
        2..=40, "^[A-Za-z0-9_+/-]+$",
        "must be the name of a time zone in the IANA database, such as Europe/Berlin",
        "Europe/Berlin", |text| parse_zone(text).is_some(), Part
    }
    /// Groups of the answer.
    GroupText = GroupKind {
        4..=126, r"^(none|device|label:[^\x00-\x1f\x7f]+)$",
        "must be none, device, or label: and the key of a label, such as label:site",
        "device", |text| group(text).is_some(), Exact
    }
}

/// Buckets without numbers: `none` omits them, `null` returns them with null in place of numbers.
#[derive(Enum, Clone, Copy, PartialEq)]
#[oai(rename_all = "snake_case")]
pub enum EmptyBuckets {
    None,
    Null,
}

fn are_columns(text: &str) -> bool {
    let is_path = |path: &str| !path.is_empty() && !path.chars().any(|c| c.is_ascii_control());
    text.split(',').count() <= COLUMNS_MAX && text.split(',').all(is_path)
}

fn are_devices(text: &str) -> bool {
    text.split(',').count() <= DEVICES_MAX && text.split(',').all(|id| DeviceId::new(id).is_ok())
}

fn group(text: &str) -> Option<GroupBy> {
    match text {
        "none" => Some(GroupBy::Nothing),
        "device" => Some(GroupBy::Device),
        text => {
            let key = text.strip_prefix(LABEL)?;
            let is_key = !key.is_empty() && !key.chars().any(|c| c.is_ascii_control());
            is_key.then(|| GroupBy::Label(key.to_owned()))
        }
    }
}

/// Returns the interval.
pub fn interval(text: Option<&IntervalText>) -> Option<Interval> {
    text.and_then(|text| Interval::parse(text))
}

/// Returns the functions; `avg` if none are given.
pub fn functions(text: Option<&FunctionsText>) -> Vec<Function> {
    let given = text.and_then(|text| Function::parse_list(text));
    given.unwrap_or_else(|| vec![Function::Avg])
}

/// Returns the paths of the columns, each once.
pub fn columns<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<Vec<NumberPath>, Error> {
    let checked = |path| NumberPath::new(path).map_err(|rule| Error::field("columns", rule));
    let found: Vec<NumberPath> = paths.into_iter().map(checked).collect::<Result<_, _>>()?;
    Ok(each_once(found))
}

/// Returns the paths without repetitions, in their order.
pub fn each_once(paths: impl IntoIterator<Item = NumberPath>) -> Vec<NumberPath> {
    let mut found = Vec::new();
    for path in paths {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// Returns the identifiers of the devices.
pub fn devices(text: Option<&DevicesText>) -> Vec<String> {
    let ids = text.iter().flat_map(|text| text.split(','));
    ids.map(ToOwned::to_owned).collect()
}

/// Returns the time zone; UTC if none is given.
pub fn zone(text: Option<&ZoneText>) -> chrono_tz::Tz {
    let zone = text.and_then(|text| parse_zone(text));
    zone.unwrap_or(chrono_tz::Tz::UTC)
}

/// Returns the groups; all devices together if none are given.
pub fn group_by(text: Option<&GroupText>) -> GroupBy {
    let given = text.and_then(|text| group(text));
    given.unwrap_or(GroupBy::Nothing)
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn agree<K: Kind>(texts: &[&str]) {
        let pattern = Regex::new(K::PATTERN).unwrap();
        for text in texts {
            let admits = Text::<K>::new(*text).is_ok();
            assert!(pattern.is_match(text) || !admits, "{text}");
            if matches!(K::PRECISION, Precision::Exact) {
                assert_eq!(pattern.is_match(text), admits, "{text}");
            }
        }
        assert!(Text::<K>::new(K::EXAMPLE).is_ok());
    }

    #[test]
    fn the_patterns_admit_what_the_parsers_admit() {
        agree::<IntervalKind>(&["15m", "7m", "1mo", "0d", "1y"]);
        agree::<FunctionsKind>(&["avg", "avg,p95", "avg,", "p96", "AVG", "stddev,stddev"]);
        agree::<ColumnsKind>(&["a", "a,b.0", "a,,b", "a\"b", "Größe in m²"]);
        agree::<DevicesKind>(&["a", "a,b-1", "a,", "-a", "a_b"]);
        agree::<ZoneKind>(&[
            "UTC",
            "Europe/Berlin",
            "Mars/Olympus",
            "europe/berlin",
            "+01",
        ]);
        agree::<GroupKind>(&[
            "none",
            "device",
            "label:site",
            "label:",
            "labels",
            "label:ort=ü",
        ]);
    }

    #[test]
    fn every_function_is_in_the_rule_and_the_pattern() {
        let all: Vec<&str> = Function::ALL.iter().map(|(name, _)| *name).collect();
        let all = all.join(",");
        assert!(FunctionsText::new(all.as_str()).is_ok());
        assert!(Regex::new(FunctionsKind::PATTERN).unwrap().is_match(&all));
        assert!(FunctionsKind::RULE.contains(&all.replace(',', ", ").replace(", p99", " and p99")));
    }
}
