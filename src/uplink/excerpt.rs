//! Shortens and redacts the bodies of messages that the hub does not fully understand: a long body is
//! truncated and credentials are removed.

use serde_json::{Map, Value, json};

use crate::store::members;

/// Maximum size of a stored body, in bytes of JSON.
const BODY_BYTES_MAX: usize = 4096;
/// Replacement for a credential.
const WITHHELD: &str = "(withheld)";

/// Returns the members of an event's details that show a body: `body`, and `truncated` if `body` is
/// only the start of the JSON text.
pub fn of(body: &Value) -> Map<String, Value> {
    let body = shown(body);
    let text = body.to_string();
    if text.len() <= BODY_BYTES_MAX {
        return members(json!({"body": body}));
    }
    let end = (0..=BODY_BYTES_MAX)
        .rev()
        .find(|end| text.is_char_boundary(*end));
    let start = &text[..end.unwrap_or_default()];
    members(json!({"body": start, "truncated": true}))
}

/// Removes credentials, and NUL characters, which PostgreSQL cannot store.
fn shown(value: &Value) -> Value {
    match value {
        Value::String(text) => text.replace('\0', "").into(),
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Object(members) => {
            let shown = members.iter().map(|(name, value)| {
                let value = match is_credential(name) {
                    true => WITHHELD.into(),
                    false => shown(value),
                };
                (name.replace('\0', ""), value)
            });
            Value::Object(shown.collect())
        }
        plain => plain.clone(),
    }
}

fn is_credential(name: &str) -> bool {
    const ENDS: [&str; 6] = [
        "key",
        "token",
        "secret",
        "password",
        "credentials",
        "authorization",
    ];
    let name = name.to_ascii_lowercase();
    ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_body_is_kept_without_credentials() {
        let body = json!({"kind": "new\0", "list": [1.5, null, {"api\0_key": "k"}],
            "ingest_key": "k", "AppSKey": {"key": "k"}, "Authorization": ["Bearer k"], "keyed": true});
        let kept = Value::Object(of(&body));
        assert_eq!(
            kept,
            json!({"body": {"kind": "new", "list": [1.5, null, {"api_key": WITHHELD}],
                "ingest_key": WITHHELD, "AppSKey": WITHHELD, "Authorization": WITHHELD,
                "keyed": true}})
        );
    }

    #[test]
    fn of_a_long_body_the_start_is_kept() {
        let fits = json!("x".repeat(BODY_BYTES_MAX - 2));
        assert_eq!(Value::Object(of(&fits)), json!({"body": fits}));
        for long in ["x".repeat(BODY_BYTES_MAX - 1), "ü".repeat(BODY_BYTES_MAX)] {
            let kept = of(&json!({"text": long}));
            let start = kept["body"].as_str().unwrap();
            assert!(start.starts_with("{\"text\":\""), "{start}");
            assert!((4090..=BODY_BYTES_MAX).contains(&start.len()));
            assert_eq!(kept["truncated"], true);
        }
    }
}
