//! `driver`: what a driver's author needs, without a hub.
//!
//! Scripts run here exactly as in the hub: in the same sandboxed worker processes, with the same
//! limits.
//!
//! | file | what it is |
//! |---|---|
//! | `run.rs` | `driver run`: one function with one input |
//! | `batch.rs` | `driver run --batch`: many of them, a line each |
//! | `metadata.rs` | `driver init`, `get` and `set`: the project file |
//! | `test.rs`, `build.rs` | `driver test` and `driver build` |
//! | `project.rs`, `examples.rs` | a driver's folder: its project file and its examples |
//! | `script.rs` | scripts out of files |

mod batch;
mod build;
mod examples;
mod metadata;
mod project;
mod run;
mod script;
mod test;

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::exit::Failure;
use crate::driver::{Host, Limits};

/// On the command line there is one tenant.
const TENANT: i64 = 1;

/// `thingshub driver`.
pub fn command() -> Command {
    Command::new("driver")
        .about("Write, test and run device drivers")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(metadata::init_command())
        .subcommand(metadata::get_command())
        .subcommand(metadata::set_command())
        .subcommand(build::command())
        .subcommand(test::command())
        .subcommand(run::command())
}

/// Does what the command line says.
pub async fn driver(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("init", matches)) => metadata::init(matches),
        Some(("get", matches)) => metadata::get(matches),
        Some(("set", matches)) => metadata::set(matches),
        Some(("build", matches)) => build::build(matches).await,
        Some(("test", matches)) => test::test(matches).await,
        Some(("run", matches)) => run::run(matches).await,
        _ => Ok(()),
    }
}

/// Starts workers of this very program.
async fn host(limits: Limits) -> Result<Host, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| format!("the program does not find itself: {error}"))?;
    Host::start(program, limits)
        .await
        .map_err(|error| format!("no driver worker starts: {error}").into())
}

fn folder_argument() -> Arg {
    Arg::new("folder")
        .long("project")
        .short('p')
        .value_name("FOLDER")
        .value_parser(value_parser!(PathBuf))
        .default_value(".")
        .help("The driver's folder")
}

fn folder(matches: &ArgMatches) -> PathBuf {
    matches
        .get_one::<PathBuf>("folder")
        .cloned()
        .unwrap_or_default()
}
