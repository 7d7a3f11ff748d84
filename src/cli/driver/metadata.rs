//! `driver init`, `driver get` and `driver set`: the project file.

use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_yaml::Value;

use super::arguments::{folder, folder_argument};
use super::project::{FILE, Project, Supports};
use crate::cli::{exit::Failure, output};

const SCRIPT: &str = r#"// bytes: the payload as numbers; fPort: its port; recvTime: a Date; variables: the device's settings.
function decodeUplink(input) {
  if (input.bytes.length < 2) {
    return { errors: ["the payload has less than 2 bytes"] };
  }
  var raw = (input.bytes[0] << 8) | input.bytes[1];
  if (raw & 0x8000) raw -= 0x10000;
  return { data: { temperature: raw / 10 } };
}
"#;

const EXAMPLES: &str = r#"[
  {
    "type": "uplink",
    "description": "minus one degree",
    "input": { "bytes": [255, 246], "fPort": 1 },
    "output": { "data": { "temperature": -1 } }
  },
  {
    "type": "uplink",
    "description": "too short",
    "input": { "bytes": [1], "fPort": 1 },
    "output": { "errors": ["the payload has less than 2 bytes"] }
  }
]
"#;

/// The fields that can be read and set.
const FIELDS: [&str; 6] = ["name", "author", "labels", "supports", "schema", "script"];

/// `thingshub driver init`.
pub fn init_command() -> Command {
    Command::new("init")
        .about("Create a driver project: .project, script.js and examples.json")
        .arg(
            Arg::new("type")
                .value_name("TYPE")
                .value_parser(["javascript"])
                .default_value("javascript")
                .help("Language of the driver"),
        )
        .arg(
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .default_value("")
                .help("Name of the driver"),
        )
        .arg(
            Arg::new("author")
                .long("author")
                .value_name("AUTHOR")
                .default_value("")
                .help("Author of the driver"),
        )
        .arg(folder_argument())
}

/// `thingshub driver get`.
pub fn get_command() -> Command {
    Command::new("get")
        .about("Print the metadata of the project, or one of its fields")
        .arg(
            Arg::new("field")
                .value_name("FIELD")
                .value_parser(FIELDS)
                .help("Field to print [default: all]"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print JSON instead of YAML"),
        )
        .arg(folder_argument())
}

/// `thingshub driver set`.
pub fn set_command() -> Command {
    Command::new("set")
        .about("Set a field of the metadata of the project")
        .after_help(
            "Examples:\n  thingshub driver set name am102\n  thingshub driver set labels indoor climate\n  \
             thingshub driver set supports Milesight AM102 1.0   # adds a device",
        )
        .arg(Arg::new("field").value_name("FIELD").required(true).value_parser(FIELDS).help("Field to set"))
        .arg(
            Arg::new("value")
                .value_name("VALUE")
                .required(true)
                .num_args(1..)
                .help("Value of the field; for `supports`: manufacturer, model and firmware version"),
        )
        .arg(folder_argument())
}

/// Makes a project.
pub fn init(matches: &ArgMatches) -> Result<(), Failure> {
    let folder = folder(matches);
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    if folder.join(FILE).exists() {
        return Err(Failure::usage(format!(
            "{} already is a driver project",
            folder.display()
        )));
    }
    Project::new(text("name"), text("author")).save(&folder)?;
    for (name, content) in [("script.js", SCRIPT), ("examples.json", EXAMPLES)] {
        create(&folder.join(name), content)?;
    }
    output::line(&format!("created a driver project in {}", folder.display()))
}

/// Writes a file that does not exist yet.
fn create(path: &Path, content: &str) -> Result<(), String> {
    if path.exists() {
        return Ok(());
    }
    std::fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()))
}

/// Prints metadata.
pub fn get(matches: &ArgMatches) -> Result<(), Failure> {
    let project = Project::load(&folder(matches)).map_err(Failure::usage)?;
    let value = match matches.get_one::<String>("field") {
        Some(field) => field_of(&project, field)?,
        None => to_value(&project.metadata)?,
    };
    let text = if matches.get_flag("json") {
        serde_json::to_string(&value).map_err(|error| error.to_string())
    } else if let Value::String(text) = &value {
        Ok(text.clone())
    } else {
        serde_yaml::to_string(&value).map_err(|error| error.to_string())
    };
    output::line(text?.trim_end())
}

fn field_of(project: &Project, field: &str) -> Result<Value, String> {
    Ok(match field {
        "name" => project.metadata.name.clone().into(),
        "author" => project.metadata.author.clone().into(),
        "labels" => project.metadata.labels.clone(),
        "supports" => to_value(&project.metadata.supports)?,
        "schema" => project.schema.clone().unwrap_or(Value::Null),
        _ => project.script.clone().map_or(Value::Null, Value::from),
    })
}

fn to_value(value: &impl serde::Serialize) -> Result<Value, String> {
    serde_yaml::to_value(value).map_err(|error| error.to_string())
}

/// Sets metadata.
pub fn set(matches: &ArgMatches) -> Result<(), Failure> {
    let folder = folder(matches);
    let mut project = Project::load(&folder).map_err(Failure::usage)?;
    let field = matches
        .get_one::<String>("field")
        .map_or("", String::as_str);
    let values: Vec<String> = matches
        .get_many("value")
        .unwrap_or_default()
        .cloned()
        .collect();
    let most = match field {
        "labels" => usize::MAX,
        "supports" => 3,
        _ => 1,
    };
    if values.len() > most {
        return Err(Failure::usage(format!(
            "{field} takes at most {most} values"
        )));
    }
    let text = || values.first().cloned().unwrap_or_default();
    match field {
        "name" => project.metadata.name = text(),
        "author" => project.metadata.author = text(),
        "schema" => project.schema = Some(text().into()),
        "script" => project.script = Some(text()),
        "labels" => {
            project.metadata.labels = values
                .into_iter()
                .map(Value::from)
                .collect::<Vec<_>>()
                .into()
        }
        _ => {
            let mut values = values.into_iter();
            project.metadata.supports.push(Supports {
                manufacturer: values.next().unwrap_or_default(),
                model: values.next().unwrap_or_default(),
                firmware_version: values.next().map_or(Value::Null, Value::from),
            });
        }
    }
    Ok(project.save(&folder)?)
}
