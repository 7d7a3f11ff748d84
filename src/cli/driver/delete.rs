//! `driver delete`: deletes a tag, a version or a whole driver from a hub's registry.

use std::io::{self, IsTerminal};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::arguments::{reference, reference_argument};
use super::registry::Registry;
use crate::{
    cli::{
        exit::{EXIT_CODES, Failure, Reason},
        output, target,
    },
    reference::{Pick, Reference},
};

/// `thingshub driver delete`.
pub fn command() -> Command {
    Command::new("delete")
        .about("Delete a tag, a version or a whole driver from a hub's registry")
        .long_about(
            "Delete a tag, a version or a whole driver: AUTHOR/NAME deletes the driver with all its versions \
             and tags, AUTHOR/NAME:TAG only the tag, AUTHOR/NAME@sha256:... only the version. The hub \
             refuses while devices use it, and returns their number.",
        )
        .after_help(EXIT_CODES)
        .arg(reference_argument())
        .arg(
            Arg::new("yes")
                .long("yes")
                .short('y')
                .action(ArgAction::SetTrue)
                .help("Delete without confirmation; required if standard input is not a terminal"),
        )
        .args(target::arguments())
}

/// Deletes, once it is confirmed.
pub async fn delete(matches: &ArgMatches) -> Result<(), Failure> {
    let reference = reference(matches)?;
    let registry = Registry::connect(matches)?;
    let what = named(&reference);
    if !matches.get_flag("yes") {
        confirm(&format!("Delete {what} from {}?", registry.server()))?;
    }
    registry.delete(&reference).await?;
    output::line(&format!("deleted {what}"))
}

fn named(reference: &Reference) -> String {
    match &reference.named {
        None => format!("the driver {} with all its versions", reference.key),
        Some(Pick::Tag(_)) => format!("the tag {reference}"),
        Some(Pick::Digest(_)) => format!("the version {reference}"),
    }
}

fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{question} Use --yes to confirm")));
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(Reason::Here, format!("standard input: {error}")))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Reason::Here, "nothing was deleted")),
    }
}
