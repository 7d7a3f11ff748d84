//! Step that writes the rules of texts and lists beside their patterns and bounds, in words.

use serde_json::{Map, Value};

use super::walk::each_object;

/// Appends the rule that `http::types::in_words` has put into a schema to the description. A parameter's own
/// description takes it, because pages and generators show that one.
pub fn spell_out(document: &mut Value) {
    each_object(document, &mut |object| {
        if object.contains_key("in")
            && let Some(rule) = object.get_mut("schema").and_then(take_rule)
        {
            append(object, &rule);
        }
        if let Some(rule) = take_rule_of(object) {
            append(object, &rule);
        }
    });
}

fn take_rule(schema: &mut Value) -> Option<String> {
    take_rule_of(schema.as_object_mut()?)
}

fn take_rule_of(schema: &mut Map<String, Value>) -> Option<String> {
    // The document itself has an object of this name with other members.
    if !schema.contains_key("type") {
        return None;
    }
    let rule = schema.shift_remove("externalDocs")?;
    Some(rule["url"].as_str()?.to_owned())
}

/// Appends the rule as a sentence. Where the description has no full stop at its end, it keeps none.
fn append(object: &mut Map<String, Value>, rule: &str) {
    let mut characters = rule.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    let sentence: String = first.chain(characters).collect();
    let before = object.get("description").and_then(Value::as_str);
    let description = match before.map(str::trim_end).filter(|text| !text.is_empty()) {
        None => sentence,
        Some(text) if text.ends_with('.') => format!("{text} {sentence}."),
        Some(text) => format!("{text}. {sentence}"),
    };
    object.insert("description".to_owned(), description.into());
}
