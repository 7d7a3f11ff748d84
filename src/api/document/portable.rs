//! Constructs that the document must have or must avoid, so that client generators of many languages accept it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{published::document, walk::each_object};
use crate::api::{AllOperations, ERRORS};

#[test]
fn patterns_mean_the_same_in_every_language() {
    let mut found = 0;
    let mut document = document::<AllOperations>(None, ERRORS);
    each_object(&mut document, &mut |object| {
        let Some(pattern) = object.get("pattern").and_then(Value::as_str) else {
            return;
        };
        found += 1;
        assert!(
            pattern.starts_with('^') && pattern.ends_with('$'),
            "{pattern}"
        );
        assert!(pattern.is_ascii(), "{pattern}");
        // Of escapes, those of ASCII characters by their number and those of signs.
        let escapes = pattern
            .replace(r"\\", "")
            .split('\\')
            .skip(1)
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>();
        for escape in escapes {
            let is_sign = escape.starts_with(['.', '[', ']', '*', '+', '?', '(', ')', '|']);
            let number = escape.strip_prefix('x').and_then(|rest| rest.get(..2));
            let is_ascii = number
                .is_some_and(|number| u8::from_str_radix(number, 16).is_ok_and(|byte| byte < 0x80));
            assert!(is_sign || is_ascii, "{pattern}: {escape}");
        }
        assert!(!pattern.contains("(?"), "{pattern}");
    });
    assert!(found > 200, "{found}");
}

#[test]
fn words_of_enums_have_constants_of_their_own() {
    let mut constants = BTreeSet::new();
    let mut document = document::<AllOperations>(None, ERRORS);
    each_object(&mut document, &mut |object| {
        let words = object.get("enum").and_then(Value::as_array);
        for word in words.into_iter().flatten() {
            assert_ne!(word, "");
        }
        let names = object.get("x-enum-varnames").and_then(Value::as_array);
        for name in names.into_iter().flatten() {
            let name = name.as_str().unwrap();
            let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            assert!(name.chars().all(is_plain), "{name}");
            assert!(constants.insert(name.to_owned()), "{name} is there twice");
        }
    });
    assert!(
        constants.contains("DEVICE_SORT_NAME_DESCENDING"),
        "{constants:?}"
    );
}

/// True if a form of a union is none of the schemas with a name.
fn has_bare_forms(forms: &Value) -> bool {
    let mut forms = forms.as_array().into_iter().flatten();
    forms.any(|form| form.get("$ref").is_none())
}

#[test]
fn unions_have_names_or_tell_their_forms_apart() {
    let mut document = document::<AllOperations>(None, ERRORS);
    let named: Vec<Value> = document["components"]["schemas"]
        .as_object()
        .unwrap()
        .values()
        .cloned()
        .collect();
    each_object(&mut document, &mut |object| {
        assert!(object.get("uniqueItems").is_none(), "{object:?}");
        assert!(
            object.get("not").is_none() && !object.get("anyOf").is_some_and(has_bare_forms),
            "{object:?}"
        );
        if object.contains_key("oneOf") && !object.contains_key("discriminator") {
            assert!(named.contains(&Value::Object(object.clone())), "{object:?}");
        }
    });
}
