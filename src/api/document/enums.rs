//! Step that names the words of enums for client generators.

use serde_json::{Value, json};

use super::walk::each_schema;

/// Gives each word of a named enum the name of its constant, which begins with the enum's name. Without it,
/// generators make the same constant of `name` and `-name`, and those whose language has one namespace for all
/// constants, such as Go, make it twice from two enums with a common word.
pub fn name_words(document: &mut Value) {
    each_schema(document, |name, schema| {
        let Some(words) = schema["enum"].as_array() else {
            return;
        };
        let words: Vec<String> = words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| constant(name, word))
            .collect();
        schema["x-enum-varnames"] = json!(words);
    });
}

/// `DEVICE_SORT_NAME_DESCENDING` for the word `-name` of `DeviceSort`.
fn constant(name: &str, word: &str) -> String {
    let mut constant = String::new();
    let mut before = '_';
    for character in name.chars() {
        if character.is_ascii_uppercase() && !before.is_ascii_uppercase() && before != '_' {
            constant.push('_');
        }
        constant.push(character.to_ascii_uppercase());
        before = character;
    }
    constant.push('_');
    let (word, suffix) = match word.strip_prefix('-') {
        Some(word) => (word, "_DESCENDING"),
        None => (word, ""),
    };
    let part = |character: char| match character.is_ascii_alphanumeric() {
        true => character.to_ascii_uppercase(),
        false => '_',
    };
    constant.extend(word.chars().map(part));
    constant + suffix
}
