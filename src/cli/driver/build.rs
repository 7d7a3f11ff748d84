//! `driver build`: checks a project and writes the package that a hub accepts.

use clap::{ArgMatches, Command};

use super::arguments::{folder, folder_argument};
use super::package::Package;
use crate::cli::{exit::Failure, output};

/// `thingshub driver build`.
pub fn command() -> Command {
    Command::new("build")
        .about("Check a project and write the package build/driver.json")
        .long_about(
            "Check that the project has an author and a name, that its script runs and defines a function \
             that decodes uplinks, and that its examples pass. Then write build/driver.json with author, \
             name, labels, supports, script, schema and examples. `thingshub driver push` sends the same \
             content with tags.",
        )
        .arg(folder_argument())
}

/// Builds a project.
pub async fn build(matches: &ArgMatches) -> Result<(), Failure> {
    let folder = folder(matches);
    let package = Package::of(&folder, true).await?;
    let target = folder.join("build");
    let file = target.join("driver.json");
    let text = serde_json::to_string(&package).map_err(|error| error.to_string())?;
    std::fs::create_dir_all(&target)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    output::line(&format!(
        "{} ({})",
        file.display(),
        package.functions.join(", ")
    ))
}
