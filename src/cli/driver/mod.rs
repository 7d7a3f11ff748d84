//! `driver`: what a driver's author needs, without a hub.
//!
//! Scripts run here exactly as in the hub: in the same sandboxed worker processes, with the same
//! limits.
//!
//! | file | what it is |
//! |---|---|
//! | `run.rs` | `driver run`: one function with one input |
//! | `batch.rs` | `driver run --batch`: many of them, a line each |
//! | `script.rs` | scripts out of files |

mod batch;
mod run;
mod script;

use clap::{ArgMatches, Command};

use super::exit::Failure;
use crate::driver::{Host, Limits};

/// `thingshub driver`.
pub fn command() -> Command {
    Command::new("driver")
        .about("Write, test and run device drivers")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(run::command())
}

/// Does what the command line says.
pub async fn driver(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
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
