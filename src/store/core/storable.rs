//! Replacement of NUL characters, which databases do not store.
//!
//! PostgreSQL stores a NUL neither in text nor in JSON, and SQLite's functions end a text at one. The API refuses
//! NULs from its clients, but data from brokers, receivers, network servers and drivers cannot be refused. Therefore
//! every statement is cleaned here on its way to the database; the replacement character marks the place.

use sea_orm::{Statement, Value as SqlValue};
use serde_json::Value;

/// Replacement for a NUL.
const REPLACEMENT: &str = "\u{fffd}";
/// NUL as escaped in JSON text.
const ESCAPED: &str = "\\u0000";

/// Returns the statement with NULs replaced in all its values.
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

/// Returns serialized JSON with NULs replaced.
pub fn json(text: String) -> String {
    if !text.contains(ESCAPED) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    // Escapes are read one by one, because "u0000" after an escaped backslash is not a NUL.
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
