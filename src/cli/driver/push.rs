//! `driver push`: pushes a project as a version to a hub's registry.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Serialize;
use serde_json::json;

use super::arguments::{folder, folder_argument, json_argument};
use super::{package::Package, registry::Registry};
use crate::cli::{
    exit::{EXIT_CODES, Failure, Reason},
    output, target,
};
use crate::text::DriverTag;

const EXAMPLES: &str = "\
Examples:
  thingshub driver push -t 1.0.1 -t 1.0 -t 1 -t latest
  thingshub driver push -p am102 -t next --no-test";

/// Body of a push.
#[derive(Serialize)]
struct Body<'a> {
    tags: &'a [DriverTag],
    #[serde(flatten)]
    package: &'a Package,
}

/// `thingshub driver push`.
pub fn command() -> Command {
    Command::new("push")
        .about("Push a project to a hub as a version")
        .long_about(
            "Build a project, as `thingshub driver build` does, and push it to a hub under the project's \
             author and name. The tags are moved to the version; devices that follow one of them use the \
             version from their next uplink on. Prints the digest of the version.",
        )
        .after_help(format!("{EXAMPLES}\n\n{EXIT_CODES}"))
        .arg(
            Arg::new("tag")
                .long("tag")
                .short('t')
                .value_name("TAG")
                .required(true)
                .action(ArgAction::Append)
                .value_parser(|text: &str| DriverTag::new(text))
                .help("Tag that will point at the version; can be repeated"),
        )
        .arg(
            Arg::new("no-test")
                .long("no-test")
                .action(ArgAction::SetTrue)
                .help("Do not run the examples before the push; the hub runs them in any case"),
        )
        .arg(json_argument())
        .arg(folder_argument())
        .args(target::arguments())
}

/// Pushes a project.
pub async fn push(matches: &ArgMatches) -> Result<(), Failure> {
    let registry = Registry::connect(matches)?;
    let tags: Vec<DriverTag> = matches
        .get_many("tag")
        .unwrap_or_default()
        .cloned()
        .collect();
    let package = Package::of(&folder(matches), !matches.get_flag("no-test")).await?;
    let body = Body {
        tags: &tags,
        package: &package,
    };
    let body = serde_json::to_string(&body).map_err(|error| error.to_string())?;
    let driver = registry.push(body).await?;
    let pushed = driver
        .tags
        .iter()
        .find(|tag| tags.first().is_some_and(|first| **first == *tag.tag))
        .ok_or_else(|| Failure::new(Reason::HubFailed, "the response does not have the tag"))?;
    output::line(&if matches.get_flag("json") {
        json!({
            "author": package.author,
            "name": package.name,
            "tags": tags,
            "digest": pushed.digest,
            "functions": package.functions,
        })
        .to_string()
    } else {
        pushed.digest.clone()
    })
}
