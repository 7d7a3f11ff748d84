//! Texts that no database takes: those with a NUL.
//!
//! PostgreSQL stores a NUL neither in a text nor in JSON, and SQLite's functions end a text at one. What clients of
//! the API send is refused before it comes here; what brokers, receivers, network servers and drivers say is
//! not theirs to refuse. So every statement is cleaned on its way to the database, in this one place: the
//! replacement character shows that something was there.

use sea_orm::{Statement, Value as SqlValue};
use serde_json::Value;

/// Stands where a NUL was.
const REPLACEMENT: &str = "\u{fffd}";
/// A NUL in a text of JSON.
const ESCAPED: &str = "\\u0000";

/// The statement with all its values as a database takes them.
pub fn statement(mut statement: Statement) -> Statement {
    for value in statement.values.iter_mut().flat_map(|values| &mut values.0) {
        match value {
            SqlValue::String(Some(text)) => clean(text),
            SqlValue::Json(Some(json)) if has_nul(&*json) => {
                let json: &mut Value = json;
                *json = cleaned(std::mem::take(json));
            }
            _ => {}
        }
    }
    statement
}

/// Serialized JSON whose texts a database takes.
pub fn json(text: String) -> String {
    if !text.contains(ESCAPED) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    // An escaped backslash before "u0000" is no NUL: escapes are read one by one.
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        clean.push_str(before);
        let length = match escape.starts_with(ESCAPED) {
            true => {
                clean.push_str(REPLACEMENT);
                ESCAPED.len()
            }
            false => {
                let end = escape
                    .char_indices()
                    .nth(2)
                    .map_or(escape.len(), |(end, _)| end);
                clean.push_str(&escape[..end]);
                end
            }
        };
        rest = &escape[length..];
    }
    clean.push_str(rest);
    clean
}

fn clean(text: &mut String) {
    if text.contains('\0') {
        *text = text.replace('\0', REPLACEMENT);
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

fn cleaned(value: Value) -> Value {
    match value {
        Value::String(mut text) => {
            clean(&mut text);
            Value::String(text)
        }
        Value::Array(items) => items.into_iter().map(cleaned).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(mut name, value)| {
                clean(&mut name);
                (name, cleaned(value))
            })
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nul_is_replaced_wherever_it_is() {
        let nested = json!({"a\0": ["b\0", {"c": "\0"}], "d": 1});
        let values: [SqlValue; 4] = [
            "x\0y".into(),
            nested.into(),
            "plain".into(),
            None::<String>.into(),
        ];
        let made = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT 1", values);
        let values = statement(made).values.unwrap().0;
        let clean = json!({"a\u{fffd}": ["b\u{fffd}", {"c": "\u{fffd}"}], "d": 1});
        let expected: [SqlValue; 4] = [
            "x\u{fffd}y".into(),
            clean.into(),
            "plain".into(),
            None::<String>.into(),
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn serialized_json_says_the_same_without_a_nul() {
        for text in [
            "",
            "plain",
            "\0",
            "a\0b\0",
            "\\u0000",
            "\\\\u0000\0",
            "\\\0\"\n\0ü\0",
            "ends with a backslash\\",
        ] {
            let value = json!({"a": text, text: [text]});
            let clean: Value = serde_json::from_str(&json(value.to_string())).unwrap();
            assert_eq!(clean, cleaned(value), "{text:?}");
        }
    }
}
