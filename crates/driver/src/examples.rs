//! Examples of a driver: inputs with the expected outputs of its functions. The hub and the command line
//! check them by the same rules.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::dialects::{DECODERS, ENCODERS, is_ts013};
use super::schema::Schema;

/// Characters that an error shows of a description or a value.
const SHOWN_CHARS: usize = 60;
/// Members of a TS013 result that a function may omit if they are empty.
const LISTS: [&str; 2] = ["warnings", "errors"];

/// Direction of the message of an example, in the terms of TS013.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the device.
    Uplink,
    /// To the device, to be encoded.
    DownlinkEncode,
    /// To the device, to be decoded.
    DownlinkDecode,
}

/// An input and the expected output of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Direction of the message.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The function to call, in place of the one for the direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Description, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The input of the function.
    pub input: Map<String, Value>,
    /// Expected output of the function.
    pub output: Value,
}

impl Direction {
    /// Functions for this direction, the preferred one first.
    fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Uplink => &DECODERS,
            Self::DownlinkEncode => &ENCODERS,
            Self::DownlinkDecode => &["decodeDownlink"],
        }
    }
}

impl Example {
    /// The place of an error: the example's number, counted from 0, and what it shows.
    pub fn place(&self, index: usize) -> String {
        match &self.description {
            Some(text) => format!("examples[{index}] (\"{}\")", shown(text)),
            None => format!("examples[{index}]"),
        }
    }

    /// The function to call, of those that the script defines.
    pub fn function<'a>(&'a self, defined: &[String]) -> Result<&'a str, String> {
        if let Some(function) = &self.function {
            return Ok(function);
        }
        let wanted = self.direction.unwrap_or(Direction::Uplink).functions();
        let found = wanted
            .iter()
            .find(|name| defined.iter().any(|own| own == *name));
        found
            .copied()
            .ok_or_else(|| format!("the script defines none of {}", wanted.join(", ")))
    }

    /// Returns the problem of the function's output: the first difference from the example, or the violated
    /// rule of the driver's schema.
    pub fn problem(
        &self,
        function: &str,
        schema: Option<&Schema>,
        found: &Value,
    ) -> Option<String> {
        self.difference(function, found)
            .or_else(|| breach(schema?, function, found))
    }

    /// Returns the first difference between the expected and the actual output.
    fn difference(&self, function: &str, found: &Value) -> Option<String> {
        let found = &without_empty_lists(found);
        let expected = &without_empty_lists(&self.output);
        let as_it_is = difference("output", expected, found)?;
        // TS013 wraps what the other dialects return bare.
        let data = expected.as_object().filter(|_| !is_ts013(function));
        match data.map(|members| (members.get("data"), members.len())) {
            Some((Some(data), 1)) => difference("output.data", data, found),
            _ => Some(as_it_is),
        }
    }
}

/// Returns the violation of the version's schema, if the function decodes an uplink.
fn breach(schema: &Schema, function: &str, found: &Value) -> Option<String> {
    if !DECODERS.contains(&function) {
        return None;
    }
    let data = match function {
        "decodeUplink" => found.get("data")?.as_object()?,
        _ => found.as_object()?,
    };
    // A stateful driver's data are in its updates.
    if data.contains_key("updates") {
        return None;
    }
    let violation = schema.check(data).err()?;
    Some(format!("the data break the schema: {violation}"))
}

fn without_empty_lists(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(members) = value.as_object_mut() {
        members.retain(|name, list| {
            let is_empty = list.is_null() || list.as_array().is_some_and(Vec::is_empty);
            !(LISTS.contains(&name.as_str()) && is_empty)
        });
    }
    value
}

/// Returns the first place where two JSON values differ, with both values.
fn difference(path: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (name, value) in expected {
                let path = format!("{path}.{name}");
                let differs = match found.get(name) {
                    Some(found) => difference(&path, value, found),
                    None => Some(told(&path, &as_text(value), "nothing")),
                };
                if differs.is_some() {
                    return differs;
                }
            }
            let more = found.iter().find(|(name, _)| !expected.contains_key(*name));
            more.map(|(name, value)| told(&format!("{path}.{name}"), "nothing", &as_text(value)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            let mut pairs = expected.iter().zip(found).enumerate();
            let differs = pairs.find_map(|(index, (expected, found))| {
                difference(&format!("{path}[{index}]"), expected, found)
            });
            let items = |items: &[Value]| format!("{} items", items.len());
            differs.or_else(|| {
                (expected.len() != found.len()).then(|| told(path, &items(expected), &items(found)))
            })
        }
        // 21 and 21.0 are the same number.
        (Value::Number(expected), Value::Number(found)) if expected.as_f64() == found.as_f64() => {
            None
        }
        _ if expected == found => None,
        _ => Some(told(path, &as_text(expected), &as_text(found))),
    }
}

fn told(path: &str, expected: &str, found: &str) -> String {
    let path: String = path.chars().take(2 * SHOWN_CHARS).collect();
    format!("{path}: the example says {expected}, the driver gives {found}")
}

fn as_text(value: &Value) -> String {
    shown(&value.to_string())
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differs(expected: Value, found: Value) -> Option<String> {
        difference("output", &expected, &found)
    }

    #[test]
    fn the_first_difference_is_told_with_both_values() {
        let same = json!({"data": {"a": 1.0, "b": [1, {"c": null}]}});
        assert_eq!(
            differs(same, json!({"data": {"b": [1.0, {"c": null}], "a": 1}})),
            None
        );
        for (expected, found, text) in [
            (
                json!({"a": 1}),
                json!({"a": 2}),
                "output.a: the example says 1, the driver gives 2",
            ),
            (
                json!({"a": "1"}),
                json!({"a": 1}),
                "output.a: the example says \"1\", the driver gives 1",
            ),
            (
                json!({"a": [1, 2]}),
                json!({"a": [1]}),
                "output.a: the example says 2 items, the driver gives 1 items",
            ),
            (
                json!([0, {"x": true}]),
                json!([0, {}]),
                "output[1].x: the example says true, the driver gives nothing",
            ),
            (
                json!({}),
                json!({"x": null}),
                "output.x: the example says nothing, the driver gives null",
            ),
            (
                json!([]),
                json!({}),
                "output: the example says [], the driver gives {}",
            ),
        ] {
            assert_eq!(differs(expected, found).as_deref(), Some(text));
        }
        let long = "ü".repeat(1000);
        let text = differs(json!({ &long: long }), json!({ &long: 1 })).unwrap();
        assert!(text.chars().count() < 300, "{text}");
    }
}
