//! `driver build`: the package that a registry takes, checked.

use std::collections::HashMap;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use super::project::{Project, inside, read, script_of};
use super::{folder, folder_argument, host, script, test};
use crate::cli::{exit::Failure, output};
use crate::driver::Limits;

/// `thingshub driver build`.
pub fn command() -> Command {
    Command::new("build")
        .about("Check a project and write build/driver.json, which a hub takes")
        .long_about(
            "Check that the project's metadata is there, that its script runs and defines something to \
             call, and that its examples pass; then write build/driver.json: author, name, labels, \
             supports, script, schema and examples in one file.",
        )
        .arg(folder_argument())
}

/// Builds a project.
pub async fn build(matches: &ArgMatches) -> Result<(), Failure> {
    let folder = folder(matches);
    let project = Project::load(&folder).map_err(Failure::usage)?;
    if project.kind != "javascript" {
        return Err(Failure::usage(format!(
            "drivers of type {} cannot be built",
            project.kind
        )));
    }
    for (field, value) in [
        ("name", &project.metadata.name),
        ("author", &project.metadata.author),
    ] {
        if value.is_empty() {
            return Err(Failure::usage(format!(
                "the project has no {field}; `thingshub driver set {field} ...` sets it"
            )));
        }
    }
    let path = script_of(&folder, Some(&project)).map_err(Failure::usage)?;
    let source = Arc::new(script::read(&path.to_string_lossy()).map_err(Failure::usage)?);
    let schema = schema_of(&folder, &project).map_err(Failure::usage)?;
    let examples = test::load(&folder).map_err(Failure::usage)?;

    let host = host(Limits {
        workers: 1,
        ..Limits::default()
    })
    .await?;
    let functions = host
        .check(super::TENANT, Arc::clone(&source))
        .await
        .map_err(|error| format!("{}: {}", path.display(), error.at_line()))?;
    if functions.is_empty() {
        return Err(format!("{} defines no function that a hub calls", path.display()).into());
    }
    let mut scripts = HashMap::new();
    for example in &examples {
        test::run(&host, &mut scripts, example)
            .await
            .map_err(|problem| format!("example {:?}: {problem}", example.description))?;
    }
    host.shutdown().await;

    let examples: Vec<Value> = examples
        .iter()
        .map(|example| {
            json!({"function": example.function, "description": example.description,
                   "input": example.input, "output": example.output})
        })
        .collect();
    let package = json!({
        "author": project.metadata.author,
        "name": project.metadata.name,
        "labels": project.metadata.labels,
        "supports": project.metadata.supports,
        "functions": functions,
        "script": source.source,
        "schema": schema,
        "examples": examples,
    });
    let target = folder.join("build");
    let file = target.join("driver.json");
    std::fs::create_dir_all(&target)
        .and_then(|()| std::fs::write(&file, package.to_string()))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    output::line(&format!("{} ({})", file.display(), functions.join(", ")))
}

/// The schema itself, whether the project holds it or names its file.
fn schema_of(folder: &std::path::Path, project: &Project) -> Result<Value, String> {
    let schema = match &project.schema {
        None => return Ok(Value::Null),
        Some(serde_yaml::Value::String(name)) => {
            let path = inside(folder, name)?;
            serde_yaml::from_str(&read(&path)?).map_err(|error| format!("{name}: {error}"))?
        }
        Some(schema) => schema.clone(),
    };
    serde_json::to_value(schema).map_err(|error| format!("the schema is no JSON: {error}"))
}
