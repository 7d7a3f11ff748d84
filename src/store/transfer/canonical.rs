//! The form of JSON that is equal on both databases.
//!
//! SQLite stores JSON as the text that was written; PostgreSQL orders its members and writes numbers in its own way.

use serde_json::{Number, Value};

/// Appends a value with ordered members and numbers in a single form. An integer and a float of the same value are
/// equal.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push(b'{');
            for (name, value) in members {
                text(name, out);
                out.push(b':');
                write(value, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        Value::Number(value) => number(value, out),
        Value::String(value) => text(value, out),
        Value::Bool(true) => out.push(b't'),
        Value::Bool(false) => out.push(b'f'),
        Value::Null => out.push(b'n'),
    }
}

/// Appends a text with its length in front, so that it needs no escapes.
fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.len().to_string().as_bytes());
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
}

fn number(number: &Number, out: &mut Vec<u8>) {
    let written = match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), _, _) => whole.to_string(),
        (_, Some(whole), _) => whole.to_string(),
        (_, _, Some(float)) if float.fract() == 0.0 && float.abs() < 2f64.powi(64) => {
            format!("{float:.0}").trim_start_matches("-0").to_owned()
        }
        (_, _, Some(float)) => format!("{float:e}"),
        _ => number.to_string(),
    };
    // Negative zero, which PostgreSQL does not know, has lost its digit.
    let written = if written.is_empty() { "0" } else { &written };
    out.extend_from_slice(written.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = Vec::new();
        write(&serde_json::from_str(text).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn two_texts_of_one_value_are_equal() {
        for (one, other) in [
            (
                r#"{"a":1,"b":[true,null]}"#,
                r#"{ "b": [true, null], "a": 1 }"#,
            ),
            ("1.0", "1"),
            ("1e16", "10000000000000000"),
            ("1e20", "100000000000000000000"),
            ("-0.0", "0"),
            ("1e-7", "0.0000001"),
            ("1.50", "1.5"),
            (r#""\u00e9""#, "\"é\""),
        ] {
            assert_eq!(canonical(one), canonical(other), "{one}");
        }
    }

    #[test]
    fn different_values_differ() {
        let texts = [
            "0",
            "1",
            "-1",
            "10",
            "\"1\"",
            "[1]",
            "[[1]]",
            "[]",
            "{}",
            "null",
            "false",
            "\"\"",
            "0.5",
            "-0.5",
            "9007199254740993",
            "9007199254740992",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"["a",1]"#,
        ];
        let mut all: Vec<String> = texts.iter().map(|text| canonical(text)).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), texts.len());
    }
}
