//! Literals of the languages of the code samples.

use serde_json::Value;

/// A language whose literals can contain any JSON.
#[derive(Clone, Copy, PartialEq)]
pub enum Language {
    Python,
    TypeScript,
}

/// Returns a value as a literal that starts at the given level of indentation.
pub fn literal(language: Language, value: &Value, level: usize) -> String {
    let width = if language == Language::Python { 4 } else { 2 };
    let indent = " ".repeat(width * (level + 1));
    let end = " ".repeat(width * level);
    let several = |open: char, items: Vec<String>, close: char| {
        if items.is_empty() {
            return format!("{open}{close}");
        }
        let items: String = items
            .iter()
            .map(|item| format!("{indent}{item},\n"))
            .collect();
        format!("{open}\n{items}{end}{close}")
    };
    match value {
        Value::Object(members) => {
            let item = |(name, value): (&String, &Value)| {
                let name = if language == Language::TypeScript && is_identifier(name) {
                    name.clone()
                } else {
                    Value::from(name.as_str()).to_string()
                };
                format!("{name}: {}", literal(language, value, level + 1))
            };
            several('{', members.iter().map(item).collect(), '}')
        }
        Value::Array(items) => {
            let item = |value| literal(language, value, level + 1);
            several('[', items.iter().map(item).collect(), ']')
        }
        Value::Bool(value) if language == Language::Python => {
            if *value { "True" } else { "False" }.to_owned()
        }
        Value::Null if language == Language::Python => "None".to_owned(),
        // JSON escapes the text as both languages do.
        _ => value.to_string(),
    }
}

/// Returns a text as one word of a POSIX shell.
pub fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn is_identifier(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_language_has_its_own_literals() {
        let value = json!({"is_on": true, "X-Key": null, "list": [1, "it's"], "none": {}});
        assert_eq!(
            literal(Language::Python, &value, 0),
            "{\n    \"is_on\": True,\n    \"X-Key\": None,\n    \"list\": [\n        1,\n        \"it's\",\n    ],\n    \"none\": {},\n}"
        );
        assert_eq!(
            literal(Language::TypeScript, &value, 1),
            "{\n    is_on: true,\n    \"X-Key\": null,\n    list: [\n      1,\n      \"it's\",\n    ],\n    none: {},\n  }"
        );
    }

    #[test]
    fn a_shell_word_keeps_every_character() {
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
    }
}
