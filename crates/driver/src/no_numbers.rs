//! Removes values that JSON cannot express from a driver's result: NaN, infinities and invalid dates.
//!
//! `JSON.stringify` converts them to null, which would replace the last good value. A member is removed; an
//! item of a list cannot be, because the later items would move, so the list is removed as a whole. In the
//! state that a driver keeps of a device, the former value stays. A null that the driver itself returns is a
//! value, and stays.

use serde_json::{Map, Value};

use super::convert::NO_NUMBER;
use super::protocol::cut;

/// Maximum number of paths reported for one result.
const PATHS_MAX: usize = 20;

/// Returns true if a result may contain any of them.
pub fn may_be_in(json: &str) -> bool {
    json.contains("\\u0000NaN")
}

/// Removes them from an object, whose path is `path`; `old` has the values to keep instead. Appends the
/// removed paths.
pub fn take_out(
    fields: &mut Map<String, Value>,
    old: Option<&Map<String, Value>>,
    path: &str,
    left_out: &mut Vec<String>,
) {
    let names: Vec<String> = fields.keys().cloned().collect();
    for name in names {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        let old = old.and_then(|old| old.get(&name));
        let Some(value) = fields.get_mut(&name) else {
            continue;
        };
        if is_kept(value, old, &path, left_out) {
            continue;
        }
        match old {
            Some(old) => *value = old.clone(),
            None => {
                fields.shift_remove(&name);
            }
        }
    }
}

/// Removes them inside a value. Returns true if the value itself stays.
fn is_kept(value: &mut Value, old: Option<&Value>, path: &str, left_out: &mut Vec<String>) -> bool {
    match value {
        Value::String(text) if text == NO_NUMBER => {
            left_out.push(path.to_owned());
            false
        }
        Value::Object(members) => {
            take_out(members, old.and_then(Value::as_object), path, left_out);
            true
        }
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .all(|(index, item)| is_kept(item, None, &format!("{path}.{index}"), left_out)),
        _ => true,
    }
}

/// Returns the warnings about removed values.
pub fn warnings(mut left_out: Vec<String>) -> Vec<String> {
    let more = left_out.len().saturating_sub(PATHS_MAX);
    left_out.truncate(PATHS_MAX);
    let warning = |path: String| {
        let path = cut(&path);
        format!(
            "{path}: is no number that JSON can express (NaN or Infinity) or a broken date, and is left out"
        )
    };
    let mut warnings: Vec<String> = left_out.into_iter().map(warning).collect();
    if more > 0 {
        warnings.push(format!("{more} more values are left out"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taken_out(value: Value, old: Value) -> (Value, Vec<String>) {
        let mut value = value;
        let mut left_out = Vec::new();
        let fields = value.as_object_mut().unwrap();
        take_out(fields, old.as_object(), "", &mut left_out);
        (value, left_out)
    }

    #[test]
    fn members_go_and_lists_go_as_a_whole() {
        let odd = NO_NUMBER;
        let value = json!({"t": odd, "h": 1, "none": null, "door": {"angle": odd, "open": true},
            "list": [1, odd, 3], "points": [[1, odd], [2, 3]], "steps": [{"a": odd, "b": 1}]});
        let (kept, left_out) = taken_out(value, json!({}));
        assert_eq!(
            kept,
            json!({"h": 1, "none": null, "door": {"open": true}, "steps": [{"b": 1}]})
        );
        assert_eq!(
            left_out,
            ["t", "door.angle", "list.1", "points.0.1", "steps.0.a"]
        );
    }

    #[test]
    fn what_was_kept_before_stays() {
        let odd = NO_NUMBER;
        let old = json!({"total": 7, "door": {"angle": 30}, "list": [1]});
        let value = json!({"total": odd, "door": {"angle": odd}, "list": [odd], "new": odd});
        let (kept, left_out) = taken_out(value, old.clone());
        assert_eq!(kept, old);
        assert_eq!(left_out.len(), 4);
    }

    #[test]
    fn warnings_are_bounded() {
        let warned = warnings((0..100).map(|n| n.to_string()).collect());
        assert_eq!(warned.len(), PATHS_MAX + 1);
        assert_eq!(warned[PATHS_MAX], "80 more values are left out");
    }
}
