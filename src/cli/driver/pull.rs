//! `driver pull`: writes a version from a hub's registry as a project.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    arguments::{folder, folder_argument, reference, reference_argument},
    examples,
    project::{FILE, Project, Supports},
    registry::{Driver, Registry},
};
use crate::{
    cli::{
        exit::{EXIT_CODES, Failure, Reason},
        output, target,
    },
    reference::{DIGEST_PREFIX, Pick, Reference},
};

// Only files with these names are written: no text from a hub becomes a path.
const SCRIPT: &str = "script.js";
const SCHEMA: &str = "schema.json";

/// A version, as far as a project has it.
#[derive(Deserialize)]
struct Version {
    digest: String,
    manifest: String,
    script: String,
    schema: Option<Value>,
    examples: Vec<Value>,
}

/// The parts of a version, and the digest of each.
#[derive(Deserialize)]
struct Manifest {
    script: String,
    schema: Option<String>,
    examples: Option<String>,
}

/// `thingshub driver pull`.
pub fn command() -> Command {
    Command::new("pull")
        .about("Download a version from a hub's registry as a project")
        .long_about(
            "Download a version of a driver and write it as a project: .project, script.js, schema.json (if \
             the version has a schema) and examples.json. Uses the tag `latest` if the reference has no tag \
             or digest. Verifies the content against its digest and prints the digest. A push of the \
             unchanged project has the same digest.",
        )
        .after_help(EXIT_CODES)
        .arg(reference_argument())
        .arg(
            Arg::new("force")
                .long("force")
                .short('f')
                .action(ArgAction::SetTrue)
                .help("Replace existing files"),
        )
        .arg(folder_argument())
        .args(target::arguments())
}

/// Pulls a version.
pub async fn pull(matches: &ArgMatches) -> Result<(), Failure> {
    let reference = reference(matches)?;
    let folder = folder(matches);
    let registry = Registry::connect(matches)?;
    let driver = registry.driver(&reference).await?;
    let version: Version = registry.version(&reference).await?;
    verify(&reference, &version)
        .map_err(|text| Failure::new(Reason::HubFailed, format!("{reference}: {text}")))?;
    let files = files(&reference, driver, &version)?;
    write(&folder, &files, matches.get_flag("force"))?;
    output::line(&version.digest)
}

/// Checks that the content has the digest.
fn verify(reference: &Reference, version: &Version) -> Result<(), String> {
    if let Pick::Digest(digest) = reference.pick()
        && digest != version.digest
    {
        return Err("the hub returned another version".to_owned());
    }
    let wrong = |part: &str| format!("the {part} does not match the digest {}", version.digest);
    if sha256(&version.manifest) != version.digest {
        return Err(wrong("manifest"));
    }
    let manifest: Manifest =
        serde_json::from_str(&version.manifest).map_err(|_| wrong("manifest"))?;
    if sha256(&version.script) != manifest.script {
        return Err(wrong("script"));
    }
    let canonical = |part: &Value| serde_json_canonicalizer::to_string(part).ok();
    let digest = |part: Option<Value>| {
        part.and_then(|part| canonical(&part))
            .map(|text| sha256(&text))
    };
    if digest(version.schema.clone()) != manifest.schema {
        return Err(wrong("schema"));
    }
    let examples = Some(&version.examples).filter(|examples| !examples.is_empty());
    if digest(examples.cloned().map(Value::from)) != manifest.examples {
        return Err(wrong("list of examples"));
    }
    Ok(())
}

fn sha256(text: &str) -> String {
    format!("{DIGEST_PREFIX}{}", hex::encode(Sha256::digest(text)))
}

/// The files of the project, by their names.
fn files(
    reference: &Reference,
    driver: Driver,
    version: &Version,
) -> Result<Vec<(&'static str, String)>, String> {
    let mut project = Project::new(&reference.key.name, &reference.key.author);
    project.metadata.description = Some(driver.description).filter(|text| !text.is_empty());
    project.metadata.labels = driver.labels.into();
    project.metadata.supports = driver
        .supports
        .into_iter()
        .map(|device| Supports {
            manufacturer: device.manufacturer,
            model: device.model,
            firmware_version: device
                .firmware_version
                .map_or(serde_yaml::Value::Null, Into::into),
        })
        .collect();
    project.script = Some(SCRIPT.to_owned());
    project.schema = version.schema.as_ref().map(|_| SCHEMA.into());
    let pretty = |value: &Value| {
        let text = serde_json::to_string_pretty(value);
        text.map(|text| text + "\n")
            .map_err(|error| error.to_string())
    };
    let mut files = vec![
        (FILE, project.to_text()?),
        (SCRIPT, version.script.clone()),
        (examples::LIST, pretty(&version.examples.clone().into())?),
    ];
    if let Some(schema) = &version.schema {
        files.push((SCHEMA, pretty(schema)?));
    }
    Ok(files)
}

fn write(folder: &Path, files: &[(&str, String)], is_forced: bool) -> Result<(), Failure> {
    for (name, _) in files {
        let path = folder.join(name);
        // A link counts as existing, even if its target does not exist.
        if !is_forced && path.symlink_metadata().is_ok() {
            return Err(Failure::usage(format!(
                "{} already exists; --force replaces it",
                path.display()
            )));
        }
    }
    // These files would belong to the project, and be pushed with it.
    let own = |path: &&std::path::PathBuf| **path != folder.join(examples::LIST);
    if let Some(other) = examples::files(folder).iter().find(own) {
        return Err(Failure::usage(format!(
            "{} may have examples of another driver; choose another folder with -p",
            other.display()
        )));
    }
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (name, text) in files {
        let path = folder.join(name);
        put(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Creates a file. An existing one is deleted first, so that a link is replaced, not its target.
fn put(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)?
        .write_all(text.as_bytes())
}
