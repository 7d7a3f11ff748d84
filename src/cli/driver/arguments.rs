//! Arguments that several commands share.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use crate::cli::exit::Failure;
use crate::reference::Reference;

/// The option that names a driver's folder.
pub fn folder_argument() -> Arg {
    Arg::new("folder")
        .long("project")
        .short('p')
        .value_name("FOLDER")
        .value_parser(value_parser!(PathBuf))
        .default_value(".")
        .help("Folder of the driver project")
}

/// The driver's folder.
pub fn folder(matches: &ArgMatches) -> PathBuf {
    matches
        .get_one::<PathBuf>("folder")
        .cloned()
        .unwrap_or_default()
}

/// The flag that asks for JSON.
pub fn json_argument() -> Arg {
    Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print JSON")
}

/// The argument that names a driver of a hub.
pub fn reference_argument() -> Arg {
    Arg::new("reference")
        .value_name("AUTHOR/NAME[:TAG|@sha256:...]")
        .required(true)
        .value_parser(|text: &str| {
            Reference::parse(text).ok_or(
                "must be author/name, author/name:tag or author/name@sha256:<64 hexadecimal digits>",
            )
        })
        .help("Driver, optionally with a tag or a digest")
}

/// The driver of a hub that was named.
pub fn reference(matches: &ArgMatches) -> Result<Reference, Failure> {
    let reference = matches.get_one::<Reference>("reference").cloned();
    reference.ok_or_else(|| Failure::usage("the driver is required"))
}
