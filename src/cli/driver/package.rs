//! The package of a driver, as a hub accepts it: built from a project and checked.

use std::path::Path;

use serde::Serialize;
use serde_yaml::Value;

use super::bench::Bench;
use super::project::{Project, Supports, script_of};
use super::test;
use crate::cli::exit::Failure;
use crate::driver::{DECODERS, examples::Example};
use crate::text::{DriverAuthor, DriverName, Label};

/// The body of a push, without the tags.
#[derive(Serialize)]
pub struct Package {
    pub author: DriverAuthor,
    pub name: DriverName,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    labels: Vec<Label>,
    supports: Vec<Device>,
    script: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<serde_json::Value>,
    examples: Vec<Example>,
    /// Functions that the script defines.
    #[serde(skip)]
    pub functions: Vec<String>,
}

/// A device that the driver is for.
#[derive(Serialize)]
struct Device {
    manufacturer: String,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware_version: Option<String>,
}

impl Package {
    /// Builds the package. With `is_tested`, the examples must pass.
    pub async fn of(folder: &Path, is_tested: bool) -> Result<Self, Failure> {
        let project = Project::load(folder).map_err(Failure::usage)?;
        if project.kind != "javascript" {
            return Err(Failure::usage(format!(
                "drivers of type {} cannot be built",
                project.kind
            )));
        }
        let metadata = &project.metadata;
        let named = |field: &str, text: &str| match text {
            "" => Err(Failure::usage(format!(
                "the project has no {field}; `thingshub driver set {field} ...` sets it"
            ))),
            text => Ok(text.to_owned()),
        };
        let wrong = |field: &str, rule| Failure::usage(format!("the project's {field} {rule}"));
        let author = DriverAuthor::new(named("author", &metadata.author)?)
            .map_err(|rule| wrong("author", rule))?;
        let name =
            DriverName::new(named("name", &metadata.name)?).map_err(|rule| wrong("name", rule))?;
        let labels = labels(&metadata.labels).map_err(Failure::usage)?;
        let schema = project.schema_of(folder).map_err(Failure::usage)?;
        let path = script_of(folder, Some(&project)).map_err(Failure::usage)?;
        let found = test::load(folder, Some(&project)).map_err(Failure::usage)?;
        if let Some(other) = found.iter().find(|found| found.script != path) {
            return Err(Failure::usage(format!(
                "the examples are for {}, but the project's script is {}",
                other.script.display(),
                path.display()
            )));
        }

        let mut bench = Bench::start(schema.clone()).await?;
        let checked = bench.check(&path).await?;
        if !checked
            .functions
            .iter()
            .any(|name| DECODERS.contains(&name.as_str()))
        {
            let wanted = DECODERS.join(", ");
            return Err(format!("{} must define one of {wanted}", path.display()).into());
        }
        for found in found.iter().filter(|_| is_tested) {
            if let Some(problem) = bench.run(found).await.problem {
                let description = found.example.description.as_deref().unwrap_or_default();
                return Err(format!("example {description:?}: {problem}").into());
            }
        }
        bench.end().await;

        Ok(Self {
            author,
            name,
            description: metadata.description.clone(),
            labels,
            supports: metadata.supports.iter().map(Device::from).collect(),
            script: checked.script.source.clone(),
            schema: schema.map(|schema| schema.document().clone()),
            examples: found.into_iter().map(|found| found.example).collect(),
            functions: checked.functions.to_vec(),
        })
    }
}

impl From<&Supports> for Device {
    fn from(supports: &Supports) -> Self {
        Self {
            manufacturer: supports.manufacturer.clone(),
            model: supports.model.clone(),
            firmware_version: text(&supports.firmware_version).filter(|text| !text.is_empty()),
        }
    }
}

/// Labels are texts; the public driver SDK has keys with values, which become `key=value`.
fn labels(value: &Value) -> Result<Vec<Label>, String> {
    let listed = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Sequence(listed) => listed,
        _ => return Err("the project's labels must be a list".to_owned()),
    };
    let label = |value: &Value| {
        let part = |name: &str| value.get(name).and_then(text).unwrap_or_default();
        let label = match text(value) {
            Some(label) => label,
            None => match (part("key"), part("value")) {
                (key, value) if value.is_empty() => key,
                (key, value) => format!("{key}={value}"),
            },
        };
        Label::new(&label).map_err(|rule| format!("the project's label {label:?} {rule}"))
    };
    listed.iter().map(label).collect()
}

/// Parses a text, even if it looks like a number.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_sdk_are_texts_here() {
        let read = |text: &str| labels(&serde_yaml::from_str(text).unwrap());
        let texts = |text: &str| -> Vec<String> {
            let labels = read(text).unwrap().into_iter();
            labels.map(Label::into_string).collect()
        };
        assert_eq!(texts("[a, 2]"), ["a", "2"]);
        assert_eq!(
            texts("[{cid: x, key: k, value: ''}, {key: k, value: v}]"),
            ["k", "k=v"]
        );
        assert!(texts("null").is_empty());
        for bad in ["a", "['']", "[{}]", "['a,b']"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
