//! A driver's folder: its project file, script, schema and examples.
//!
//! The project file is `.project`, YAML in the form of the public driver SDK:
//!
//! ```yaml
//! type: javascript
//! metadata:
//!   name: am102
//!   author: milesight
//!   labels: [indoor]
//!   supports:
//!   - manufacturer: Milesight
//!     model: AM102
//!     firmware_version: "1.0"
//! schema: schema.yaml
//! script: script.js
//! ```
//!
//! Other members of the format (`platform`, `os`, `session`) are preserved.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_yaml::{Mapping, Value};

use crate::driver::schema::Schema;

/// The project file's name.
pub const FILE: &str = ".project";

/// The type of a project that a hub has exported; its parts have names that are given.
const EXPORTED: &str = "driver";
/// The schema's file in such a project, if it has one.
const EXPORTED_SCHEMA: &str = "schema.json";

/// Maximum size of a project file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Content of the project file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// `javascript`; others cannot be built here.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub metadata: Metadata,
    /// The schema: a file's name, or the schema itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// The script's file, where it is not found by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    #[serde(flatten)]
    pub more: Mapping,
}

/// Author, name and devices of a driver.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub author: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub labels: Value,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub supports: Vec<Supports>,
    #[serde(flatten)]
    pub more: Mapping,
}

/// A device that the driver is for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Supports {
    #[serde(default)]
    pub manufacturer: String,
    #[serde(default)]
    pub model: String,
    /// Text or a number, as people write versions.
    #[serde(
        default,
        alias = "firmwareversion",
        skip_serializing_if = "Value::is_null"
    )]
    pub firmware_version: Value,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Supports>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Project {
    /// Creates the content of the project file of a new project.
    pub fn new(name: &str, author: &str) -> Self {
        Self {
            kind: "javascript".to_owned(),
            metadata: Metadata {
                name: name.to_owned(),
                author: author.to_owned(),
                labels: Value::Sequence(Vec::new()),
                ..Metadata::default()
            },
            schema: None,
            script: None,
            more: Mapping::new(),
        }
    }

    /// Reads the project of a folder; `None` if it has no project file.
    pub fn find(folder: &Path) -> Result<Option<Self>, String> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = read(&path)?;
        let mut project: Self =
            serde_yaml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        if project.kind == EXPORTED {
            project.kind = "javascript".to_owned();
            let has_schema = folder.join(EXPORTED_SCHEMA).is_file();
            project.schema = has_schema.then(|| EXPORTED_SCHEMA.into());
        }
        Ok(Some(project))
    }

    /// Reads the project of a folder; fails if it has no project file.
    pub fn load(folder: &Path) -> Result<Self, String> {
        Self::find(folder)?.ok_or_else(|| {
            format!(
                "{} is not a driver project; `thingshub driver init` creates one",
                folder.display()
            )
        })
    }

    /// Returns the schema, whether the project contains it or names its file.
    pub fn schema_of(&self, folder: &Path) -> Result<Option<Arc<Schema>>, String> {
        let schema = match &self.schema {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(name)) => Schema::parse(&read(&inside(folder, name)?)?)
                .map_err(|error| format!("{name}: {error}"))?,
            Some(schema) => {
                let document = serde_json::to_value(schema)
                    .map_err(|error| format!("the schema is not JSON: {error}"))?;
                Schema::from_value(document).map_err(|error| error.to_string())?
            }
        };
        Ok(Some(schema))
    }

    /// Writes the project file.
    pub fn save(&self, folder: &Path) -> Result<(), String> {
        let path = folder.join(FILE);
        self.to_text()
            .and_then(|text| std::fs::write(&path, text).map_err(|error| error.to_string()))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The project file's text.
    pub fn to_text(&self) -> Result<String, String> {
        serde_yaml::to_string(self).map_err(|error| error.to_string())
    }
}

/// The script of a folder: the one that the project names, or one with a usual name.
pub fn script_of(folder: &Path, project: Option<&Project>) -> Result<PathBuf, String> {
    if let Some(name) = project.and_then(|project| project.script.as_ref()) {
        return inside(folder, name);
    }
    ["script.js", "index.js", "driver.js", "codec.js", "main.js"]
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!(
                "{} has no script.js, index.js, driver.js, codec.js or main.js",
                folder.display()
            )
        })
}

/// A file that a project names: in its own folder or below.
pub fn inside(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let path = Path::new(name);
    let plain = |part| {
        matches!(
            part,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    };
    if path.components().all(plain) && !name.is_empty() {
        Ok(folder.join(path))
    } else {
        Err(format!("{name} is not in the project's folder"))
    }
}

/// The text of a file of bounded size.
pub fn read(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!(
            "{}: longer than {FILE_BYTES_MAX} bytes",
            path.display()
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM_THE_SDK: &str = "type: javascript\nmetadata:\n  name: elsys-ers\n  author: acme\n  labels:\n  - cid: elsys\n    key: elsys\n    value: \"\"\n  supports:\n  - manufacturer: ELSYS\n    model: ERS\n    firmwareversion: 1.0\n  platform: amd64\n  os: linux\nsession:\n  server: \"\"\n  API: public\n";

    #[test]
    fn a_project_of_the_sdk_is_read_and_keeps_what_it_has() {
        let project: Project = serde_yaml::from_str(FROM_THE_SDK).unwrap();
        assert_eq!(project.metadata.name, "elsys-ers");
        assert_eq!(project.metadata.supports[0].model, "ERS");
        assert_eq!(
            project.metadata.supports[0].firmware_version,
            Value::from(1.0)
        );
        let text = serde_yaml::to_string(&project).unwrap();
        assert!(
            text.contains("platform: amd64") && text.contains("API: public"),
            "{text}"
        );
        assert_eq!(serde_yaml::from_str::<Project>(&text).unwrap(), project);
    }

    #[test]
    fn empty_lists_may_be_null() {
        let text = "type: golang\nmetadata:\n  name: a\n  labels:\n  supports:\n";
        let project: Project = serde_yaml::from_str(text).unwrap();
        assert!(project.metadata.supports.is_empty() && project.metadata.author.is_empty());
    }

    #[test]
    fn files_are_in_the_folder() {
        for bad in ["../x", "/etc/passwd", "a/../../b", ""] {
            assert!(inside(Path::new("p"), bad).is_err(), "{bad}");
        }
        assert_eq!(
            inside(Path::new("p"), "a/b.js").unwrap(),
            Path::new("p/a/b.js")
        );
    }
}
