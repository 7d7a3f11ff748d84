//! JSON that is parsed strictly, and refused with the name of the field and the rule.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::strict::{Strict, Unambiguous};
use crate::error::{Error, Reason};

/// Parses JSON strictly; the error names the field and the rule.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(without_mark(bytes));
    let Unambiguous(value) =
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            refuse(&path, error.into_inner())
        })?;
    deserializer.end().map_err(|error| refuse(".", error))?;
    from_value(value)
}

/// Converts a JSON value strictly; the error names the field and the rule.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|error| {
        let path = error.path().to_string();
        refuse(&path, error.into_inner())
    })
}

/// Removes the byte order mark that some clients put before JSON (RFC 8259, section 8.1).
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Converts a serde error to the rule that was broken, without the offending value.
fn refuse(path: &str, error: serde_json::Error) -> Error {
    let place = if path == "." { "body" } else { path };
    if error.is_syntax() || error.is_eof() {
        return Error::of_field(
            Reason::Malformed,
            "body",
            format!("is not valid JSON: {error}"),
        );
    }
    let text = error.to_string();
    // serde_json appends the position; the path is more precise.
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    // A union has already found the field within this object.
    if text.starts_with('.') {
        return of_union(&format!("{place}{text}"));
    }
    if let Some((reason, field, rule)) = own_field(text) {
        // For an unknown field the path already ends with its name.
        let place = match path {
            "." => field,
            path if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
            path => format!("{path}.{field}"),
        };
        return Error::of_field(reason, &place, rule);
    }
    for start in ["invalid type: ", "invalid value: ", "unknown variant "] {
        if text.starts_with(start) {
            let expected = text
                .rsplit_once(", expected ")
                .map_or("something else", |(_, expected)| expected);
            return Error::field(place, format!("must be {}", in_words(expected)));
        }
    }
    Error::field(place, text)
}

/// Returns the error of a rule that was broken within a union, which has been put into words already.
fn of_union(text: &str) -> Error {
    let error = Error::broken(text);
    let rule = text.split_once(": ").map_or("", |(_, rule)| rule);
    match error {
        Error::Rejected { field, text, .. } => Error::Rejected {
            reason: match rule {
                "is required" => Reason::Required,
                "is unknown here" => Reason::UnknownMember,
                _ => Reason::Invalid,
            },
            field,
            text,
        },
        other => other,
    }
}

/// Extracts the reason, the field and the rule from an error about an object.
fn own_field(text: &str) -> Option<(Reason, String, String)> {
    let quoted = |rest: &str| {
        rest.split('`')
            .nth(1)
            .map(|name| name.chars().take(60).collect::<String>())
    };
    if let Some(rest) = text.strip_prefix("missing field ") {
        return Some((Reason::Required, quoted(rest)?, "is required".to_owned()));
    }
    if let Some(rest) = text.strip_prefix("unknown field ") {
        return Some((
            Reason::UnknownMember,
            quoted(rest)?,
            "is unknown here".to_owned(),
        ));
    }
    if let Some(rest) = text.strip_prefix("duplicate field ") {
        return Some((
            Reason::Invalid,
            quoted(rest)?,
            "must not be repeated".to_owned(),
        ));
    }
    None
}

fn in_words(expected: &str) -> String {
    match expected {
        "i64" | "u64" | "i32" | "u32" | "u16" | "u8" => "an integer".to_owned(),
        "f64" => "a number".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        _ if expected.starts_with("struct ") || expected.contains("tagged enum") => {
            "an object".to_owned()
        }
        _ => expected.replace('`', "\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors matter")]
    struct Outer {
        name: crate::text::Name,
        inner: Option<Vec<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors matter")]
    struct Inner {
        count: i64,
    }

    fn error(text: &str) -> String {
        parse::<Outer>(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_field_and_the_rule_and_echo_nothing() {
        for (body, expected) in [
            ("[]", "body: must be an object"),
            ("7", "body: must be an object"),
            ("{}", "name: is required"),
            (r#"{"name": 5}"#, "name: must be a string"),
            (r#"{"name": ""}"#, "name: must have 1 to 120 characters"),
            (
                r#"{"name": "a\u0000"}"#,
                "name: must have no control characters",
            ),
            (r#"{"name": "a", "x": 1}"#, "x: is unknown here"),
            (
                r#"{"name": "a", "inner": [[1]]}"#,
                "inner[0]: must be an object",
            ),
            (
                r#"{"name": "a", "inner": [{}]}"#,
                "inner[0].count: is required",
            ),
            (
                r#"{"name": "a", "inner": [{"count": "hunter2"}]}"#,
                "inner[0].count: must be an integer",
            ),
            (
                r#"{"name": "a", "inner": [{"count": 1, "y": 2}]}"#,
                "inner[0].y: is unknown here",
            ),
        ] {
            assert_eq!(error(body), expected, "{body}");
        }
        assert!(error("{").starts_with("body: is not valid JSON"));
        assert!(error("{\"name\": \"\\ud800\"}").starts_with("body: is not valid JSON"));
    }
}
