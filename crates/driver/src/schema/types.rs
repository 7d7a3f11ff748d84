//! The types of single values: their names, the values that they admit, and the columns that keep them.

use chrono::{DateTime, NaiveDate, NaiveTime};
use serde_json::Value;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    Number,
    Text,
    Boolean,
    /// An array, or an object of which the schema says nothing more.
    Json,
}

/// The name of a type and what it stands for.
#[derive(Debug, Clone, Copy)]
pub struct Scalar {
    /// As it is written in a schema.
    pub name: &'static str,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    Boolean,
    /// A whole number within these bounds.
    Integer(i128, i128),
    Number,
    /// RFC 3339.
    Timestamp,
    Date,
    Time,
    /// Numbers with units, as `1h30m`.
    Duration,
}

/// The names of the types that are not objects or arrays, the public form's own first.
const SCALARS: [Scalar; 24] = {
    use Form::*;
    const fn is(name: &'static str, form: Form) -> Scalar {
        Scalar { name, form }
    }
    const INT64: Form = Integer(i64::MIN as i128, i64::MAX as i128);
    [
        is("string", Text),
        is("bool", Boolean),
        is("int64", INT64),
        is("float64", Number),
        is("int8", Integer(i8::MIN as i128, i8::MAX as i128)),
        is("int16", Integer(i16::MIN as i128, i16::MAX as i128)),
        is("int32", Integer(i32::MIN as i128, i32::MAX as i128)),
        is("uint8", Integer(0, u8::MAX as i128)),
        is("uint16", Integer(0, u16::MAX as i128)),
        is("uint32", Integer(0, u32::MAX as i128)),
        is("uint64", Integer(0, u64::MAX as i128)),
        is("float32", Number),
        is("boolean", Boolean),
        is("int", INT64),
        is("integer", INT64),
        is("float", Number),
        is("double", Number),
        is("number", Number),
        is("timestamp", Timestamp),
        is("datetime", Timestamp),
        is("date-time", Timestamp),
        is("date", Date),
        is("time", Time),
        is("duration", Duration),
    ]
};

/// The types that hold others, or anything.
pub const OBJECT: &str = "object";
pub const ARRAY: &str = "array";
pub const ANY: &str = "any";

/// All names, for an error.
pub fn names() -> String {
    let scalars = SCALARS.iter().map(|scalar| scalar.name);
    let names: Vec<_> = [OBJECT, ARRAY, ANY].into_iter().chain(scalars).collect();
    names.join(", ")
}

impl Scalar {
    /// The type of this name.
    pub fn find(name: &str) -> Option<Self> {
        SCALARS.into_iter().find(|scalar| scalar.name == name)
    }

    /// Returns whether it admits the value.
    pub fn admits(self, value: &Value) -> bool {
        match self.form {
            Form::Text => value.is_string(),
            Form::Boolean => value.is_boolean(),
            Form::Number => value.is_number(),
            Form::Integer(min, max) => whole(value).is_some_and(|n| n >= min && n <= max),
            Form::Timestamp => text(value, |text| DateTime::parse_from_rfc3339(text).is_ok()),
            Form::Date => text(value, |text| text.parse::<NaiveDate>().is_ok()),
            Form::Time => text(value, |text| text.parse::<NaiveTime>().is_ok()),
            Form::Duration => text(value, is_duration),
        }
    }

    /// The rule for values, for a person.
    pub fn rule(self) -> String {
        match self.form {
            Form::Text => "must be a string".to_owned(),
            Form::Boolean => "must be true or false".to_owned(),
            Form::Number => "must be a number".to_owned(),
            Form::Integer(min, max) => format!("must be a whole number from {min} to {max}"),
            Form::Timestamp => "must be a time such as \"2026-01-31T12:30:00Z\"".to_owned(),
            Form::Date => "must be a date such as \"2026-01-31\"".to_owned(),
            Form::Time => "must be a time of day such as \"12:30:00\"".to_owned(),
            Form::Duration => "must be a duration such as \"1h30m\"".to_owned(),
        }
    }

    /// The type of column that keeps it.
    pub fn column(self) -> ColumnKind {
        match self.form {
            Form::Boolean => ColumnKind::Boolean,
            Form::Integer(..) | Form::Number => ColumnKind::Number,
            Form::Text | Form::Timestamp | Form::Date | Form::Time | Form::Duration => {
                ColumnKind::Text
            }
        }
    }
}

fn text(value: &Value, admits: impl Fn(&str) -> bool) -> bool {
    value.as_str().is_some_and(admits)
}

/// A number without a fraction; JavaScript has no others, so `3.0` is one, too.
fn whole(value: &Value) -> Option<i128> {
    let number = value.as_number()?;
    number.as_i128().or_else(|| {
        let float = number.as_f64()?;
        // The cast saturates: what is out of an i128's range is out of any type's.
        (float.fract() == 0.0).then_some(float as i128)
    })
}

/// Numbers with the units h, m, s, ms, us, µs or ns, with a sign in front or not; or 0.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let digits = &rest[..rest.len() - number.len()];
        let unit = ["ms", "us", "µs", "μs", "ns", "h", "m", "s"]
            .into_iter()
            .find_map(|unit| number.strip_prefix(unit));
        match (digits.parse::<f64>(), unit) {
            (Ok(_), Some(after)) => rest = after,
            _ => return false,
        }
        parts += 1;
    }
    parts > 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn admits(name: &str, value: Value) -> bool {
        Scalar::find(name).unwrap().admits(&value)
    }

    #[test]
    fn each_type_admits_its_values_alone() {
        let cases = [
            ("string", json!("x"), json!(1)),
            ("bool", json!(true), json!(1)),
            ("boolean", json!(false), json!("true")),
            ("int64", json!(i64::MAX), json!(u64::MAX)),
            ("int64", json!(-3.0), json!(1.5)),
            ("int64", json!(9e18), json!(9.3e18)),
            ("uint64", json!(u64::MAX), json!(-1)),
            ("int8", json!(-128), json!(128)),
            ("uint8", json!(255), json!(256)),
            ("int16", json!(-32768), json!(32768)),
            ("uint16", json!(65535), json!(-1)),
            ("int32", json!(2147483647), json!(2147483648u32)),
            ("uint32", json!(4294967295u32), json!(4294967296u64)),
            ("integer", json!(1), json!("1")),
            ("float64", json!(21.5), json!("21.5")),
            ("number", json!(21), json!([21])),
            (
                "timestamp",
                json!("2026-01-31T12:30:00+01:00"),
                json!("2026-01-31"),
            ),
            (
                "datetime",
                json!("2026-01-31T12:30:00.123Z"),
                json!(1769862600),
            ),
            ("date", json!("2024-02-29"), json!("2023-02-29")),
            ("time", json!("12:30:00"), json!("25:00:00")),
            ("duration", json!("1h30m"), json!("1h30")),
            ("duration", json!("-1.5ms"), json!("ms")),
            ("duration", json!("250µs"), json!("")),
            ("duration", json!("0"), json!("1..5s")),
        ];
        for (name, good, bad) in cases {
            assert!(admits(name, good.clone()), "{name} must admit {good}");
            assert!(!admits(name, bad.clone()), "{name} must not admit {bad}");
        }
    }

    #[test]
    fn no_name_stands_for_two_types() {
        let mut names: Vec<_> = SCALARS.iter().map(|scalar| scalar.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
