//! The examples of a driver: inputs with the results that they must give.
//!
//! Two forms are read, as they are in the field: `examples.json`, a list with the kind of each
//! example, and The Things Stack's codec file, YAML with a section for each function, which also
//! names the script.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::project::{inside, read};

/// One example.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub script: PathBuf,
    pub function: &'static str,
    pub description: String,
    pub input: Value,
    pub output: Value,
}

#[derive(Deserialize, Serialize)]
struct Listed {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    description: String,
    input: Value,
    output: Value,
}

#[derive(Deserialize)]
struct Codec {
    #[serde(rename = "uplinkDecoder")]
    uplink_decoder: Option<Section>,
    #[serde(rename = "downlinkEncoder")]
    downlink_encoder: Option<Section>,
    #[serde(rename = "downlinkDecoder")]
    downlink_decoder: Option<Section>,
}

#[derive(Deserialize)]
struct Section {
    #[serde(rename = "fileName")]
    file_name: String,
    #[serde(default)]
    examples: Vec<ExampleOfSection>,
}

#[derive(Deserialize)]
struct ExampleOfSection {
    #[serde(default)]
    description: String,
    input: Value,
    output: Option<Value>,
    #[serde(rename = "normalizedOutput")]
    normalized_output: Option<Value>,
}

/// The examples of a folder, in the order of their files' names.
pub fn find(
    folder: &Path,
    script: impl Fn() -> Result<PathBuf, String>,
) -> Result<Vec<Example>, String> {
    let mut files: Vec<PathBuf> = [folder.to_owned(), folder.join("examples")]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path()))
        .collect();
    files.sort();
    let mut examples = Vec::new();
    for file in files {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        if name == "examples.json" || name.ends_with(".examples.json") {
            examples.extend(list(&file, &script)?);
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            examples.extend(codec(folder, &file)?);
        }
    }
    Ok(examples)
}

fn list(
    file: &Path,
    script: &impl Fn() -> Result<PathBuf, String>,
) -> Result<Vec<Example>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let listed: Vec<Listed> = serde_json::from_str(&read(file)?).map_err(|error| wrong(&error))?;
    let script = script()?;
    listed
        .into_iter()
        .map(|example| {
            Ok(Example {
                script: script.clone(),
                function: function_of(example.kind.as_deref()).map_err(|error| wrong(&error))?,
                description: example.description,
                input: example.input,
                output: example.output,
            })
        })
        .collect()
}

fn function_of(kind: Option<&str>) -> Result<&'static str, String> {
    Ok(match kind {
        None | Some("uplink" | "decodeUplink") => "decodeUplink",
        Some("downlink-encode" | "encodeDownlink") => "encodeDownlink",
        Some("downlink-decode" | "downlink" | "decodeDownlink") => "decodeDownlink",
        Some("uplink-normalize" | "normalizeUplink") => "normalizeUplink",
        Some(other) => return Err(format!("there is no type of example {other}")),
    })
}

/// YAML that is no codec file has no examples.
fn codec(folder: &Path, file: &Path) -> Result<Vec<Example>, String> {
    let wrong = |error: String| format!("{}: {error}", file.display());
    let text = read(file)?;
    if !text.contains("uplinkDecoder:") && !text.contains("downlinkEncoder:") {
        return Ok(Vec::new());
    }
    let codec: Codec = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let mut examples = Vec::new();
    for (function, section) in [
        ("decodeUplink", codec.uplink_decoder),
        ("encodeDownlink", codec.downlink_encoder),
        ("decodeDownlink", codec.downlink_decoder),
    ] {
        let Some(section) = section else { continue };
        let script = inside(folder, &section.file_name).map_err(wrong)?;
        for example in section.examples {
            let mut add = |function, input, output| {
                examples.push(Example {
                    script: script.clone(),
                    function,
                    description: example.description.clone(),
                    input,
                    output,
                });
            };
            if let Some(normalized) = example.normalized_output {
                let data = example
                    .output
                    .as_ref()
                    .and_then(|output| output.get("data"));
                if let Some(data) = data {
                    add("normalizeUplink", json!({ "data": data }), normalized);
                }
            }
            if let Some(output) = example.output {
                add(function, example.input, output);
            }
        }
    }
    Ok(examples)
}

/// Where a result differs from what an example says; `None` where it does not.
///
/// Lists of `errors` and `warnings` that one side leaves out are empty, and so is what is null in an
/// object: an example need not say what is not there.
pub fn difference(expected: &Value, actual: &Value) -> Option<String> {
    differ("", expected, actual)
}

fn differ(path: &str, expected: &Value, actual: &Value) -> Option<String> {
    let here = || if path.is_empty() { "the result" } else { path }.to_owned();
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            let keys = expected
                .keys()
                .chain(actual.keys().filter(|key| !expected.contains_key(*key)));
            for key in keys {
                let below = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let none = if path.is_empty() && (key == "errors" || key == "warnings") {
                    json!([])
                } else {
                    Value::Null
                };
                let side = |value: Option<&Value>| match value {
                    None | Some(Value::Null) => none.clone(),
                    Some(value) => value.clone(),
                };
                let found = differ(&below, &side(expected.get(key)), &side(actual.get(key)));
                if found.is_some() {
                    return found;
                }
            }
            None
        }
        (Value::Array(expected), Value::Array(actual)) => {
            for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                let found = differ(&format!("{path}[{index}]"), expected, actual);
                if found.is_some() {
                    return found;
                }
            }
            (expected.len() != actual.len()).then(|| {
                format!(
                    "{} has {} items, expected {}",
                    here(),
                    actual.len(),
                    expected.len()
                )
            })
        }
        (Value::Number(expected), Value::Number(actual))
            if expected.as_f64() == actual.as_f64() =>
        {
            None
        }
        (expected, actual) if expected == actual => None,
        (expected, actual) => Some(format!("{} is {actual}, expected {expected}", here())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_its_place() {
        for (expected, actual, place) in [
            (
                json!({"data": {"a": 1}}),
                json!({"data": {"a": 1.0}, "errors": []}),
                None,
            ),
            (
                json!({"data": {"a": 1}}),
                json!({"data": {"a": 1, "b": null}}),
                None,
            ),
            (
                json!({"data": {"a": [1, 2]}}),
                json!({"data": {"a": [1, 3]}}),
                Some("data.a[1] is 3, expected 2"),
            ),
            (
                json!({"data": {"a": [1, 2]}}),
                json!({"data": {"a": [1]}}),
                Some("data.a has 1 items, expected 2"),
            ),
            (
                json!({"errors": ["x"]}),
                json!({}),
                Some("errors has 0 items, expected 1"),
            ),
            (
                json!({"data": {}}),
                json!(null),
                Some("the result is null, expected {\"data\":{}}"),
            ),
            (
                json!({"data": {}}),
                json!({"data": {"more": 1}}),
                Some("data.more is 1, expected null"),
            ),
        ] {
            assert_eq!(
                difference(&expected, &actual).as_deref(),
                place,
                "{expected} {actual}"
            );
        }
    }
}
