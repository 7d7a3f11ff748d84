//! The examples of a driver: inputs with the expected results.
//!
//! Two common formats are read: `examples.json`, a list with the kind of each example, and The Things
//! Stack's codec file, YAML with a section for each function, which also names the script.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::project::{inside, read};
use crate::driver::examples::{Direction, Example};

/// The file of a project's examples.
pub const LIST: &str = "examples.json";

const NORMALIZE: &str = "normalizeUplink";

/// One example, and the script that it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub script: PathBuf,
    pub example: Example,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "type")]
    kind: Option<String>,
    function: Option<String>,
    description: Option<String>,
    input: Map<String, Value>,
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
    description: Option<String>,
    input: Map<String, Value>,
    output: Option<Value>,
    #[serde(rename = "normalizedOutput")]
    normalized_output: Option<Value>,
}

/// The examples of a folder, in the order of their files' names.
pub fn find(
    folder: &Path,
    script: impl Fn() -> Result<PathBuf, String>,
) -> Result<Vec<Found>, String> {
    let mut examples = Vec::new();
    for file in files(folder) {
        if has_ending(&file, &[".json"]) {
            examples.extend(list(&file, &script)?);
        } else {
            examples.extend(codec(folder, &file)?);
        }
    }
    Ok(examples)
}

/// The files of a folder that may hold examples.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = [folder.to_owned(), folder.join("examples")]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path()))
        .filter(|file| {
            file.file_name().is_some_and(|name| name == LIST)
                || has_ending(file, &[".examples.json", ".yaml", ".yml"])
        })
        .collect();
    files.sort();
    files
}

fn has_ending(file: &Path, endings: &[&str]) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| endings.iter().any(|ending| name.ends_with(ending)))
}

fn list(file: &Path, script: &impl Fn() -> Result<PathBuf, String>) -> Result<Vec<Found>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let listed: Vec<Listed> = serde_json::from_str(&read(file)?).map_err(|error| wrong(&error))?;
    let script = script()?;
    listed
        .into_iter()
        .map(|listed| {
            let (direction, function) = match listed.kind.as_deref().map(kind).transpose() {
                Ok(kind) => kind.unwrap_or_default(),
                Err(error) => return Err(wrong(&error)),
            };
            Ok(Found {
                script: script.clone(),
                example: Example {
                    direction,
                    function: listed.function.or(function),
                    description: listed.description,
                    input: listed.input,
                    output: listed.output,
                },
            })
        })
        .collect()
}

/// Parses the type of an example: a direction, or else a function.
fn kind(text: &str) -> Result<(Option<Direction>, Option<String>), String> {
    let direction = match text {
        "uplink" | "decodeUplink" => Direction::Uplink,
        "downlink-encode" | "encodeDownlink" => Direction::DownlinkEncode,
        "downlink-decode" | "downlink" | "decodeDownlink" => Direction::DownlinkDecode,
        "uplink-normalize" | NORMALIZE => return Ok((None, Some(NORMALIZE.to_owned()))),
        other => return Err(format!("{other} is not a type of example")),
    };
    Ok((Some(direction), None))
}

/// A YAML file that is not a codec file has no examples.
fn codec(folder: &Path, file: &Path) -> Result<Vec<Found>, String> {
    let wrong = |error: String| format!("{}: {error}", file.display());
    let text = read(file)?;
    if !text.contains("uplinkDecoder:") && !text.contains("downlinkEncoder:") {
        return Ok(Vec::new());
    }
    let codec: Codec = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let mut examples = Vec::new();
    for (direction, section) in [
        (Direction::Uplink, codec.uplink_decoder),
        (Direction::DownlinkEncode, codec.downlink_encoder),
        (Direction::DownlinkDecode, codec.downlink_decoder),
    ] {
        let Some(section) = section else { continue };
        let script = inside(folder, &section.file_name).map_err(wrong)?;
        for example in section.examples {
            let mut add = |direction, function, input, output| {
                examples.push(Found {
                    script: script.clone(),
                    example: Example {
                        direction,
                        function,
                        description: example.description.clone(),
                        input,
                        output,
                    },
                });
            };
            let data = example
                .output
                .as_ref()
                .and_then(|output| output.get("data"));
            if let (Some(normalized), Some(data)) = (example.normalized_output, data) {
                let input = Map::from_iter([("data".to_owned(), data.clone())]);
                add(None, Some(NORMALIZE.to_owned()), input, normalized);
            }
            if let Some(output) = example.output {
                add(Some(direction), None, example.input, output);
            }
        }
    }
    Ok(examples)
}
