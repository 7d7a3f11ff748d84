//! `driver`: the commands for authors of drivers, on their own machine and with a hub's registry.
//!
//! Scripts run here exactly as in the hub: in the same sandboxed worker processes, with the same
//! limits.
//!
//! | file | what it is |
//! |---|---|
//! | `run.rs` | `driver run`: one function with one input |
//! | `batch.rs` | `driver run --batch`: many calls, one line each |
//! | `metadata.rs` | `driver init`, `get` and `set`: the project file |
//! | `test.rs`, `build.rs` | `driver test` and `driver build` |
//! | `push.rs`, `pull.rs`, `search.rs`, `delete.rs` | the commands that use a hub |
//! | `registry.rs` | their requests to the hub |
//! | `project.rs`, `examples.rs` | a driver's folder: its project file and its examples |
//! | `package.rs` | the package of a project, as a hub accepts it |
//! | `bench.rs` | the test bench for its script and its examples |
//! | `script.rs` | scripts, read from files |
//! | `workers.rs` | the worker processes for scripts |
//! | `arguments.rs` | arguments that several commands share |

mod arguments;
mod batch;
mod bench;
mod build;
mod delete;
mod examples;
mod metadata;
mod package;
mod project;
mod pull;
mod push;
mod registry;
mod run;
mod script;
mod search;
mod test;
mod workers;

use clap::{ArgMatches, Command};

use super::{exit::Failure, login};

/// `thingshub driver`.
pub fn command() -> Command {
    Command::new("driver")
        .about("Write, test, run and share device drivers")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(metadata::init_command())
        .subcommand(metadata::get_command())
        .subcommand(metadata::set_command())
        .subcommand(build::command())
        .subcommand(test::command())
        .subcommand(run::command())
        .subcommand(login::login_command())
        .subcommand(push::command())
        .subcommand(pull::command())
        .subcommand(search::command())
        .subcommand(delete::command())
}

/// Runs the command of the command line.
pub async fn driver(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("init", matches)) => metadata::init(matches),
        Some(("get", matches)) => metadata::get(matches),
        Some(("set", matches)) => metadata::set(matches),
        Some(("build", matches)) => build::build(matches).await,
        Some(("test", matches)) => test::test(matches).await,
        Some(("run", matches)) => run::run(matches).await,
        Some(("login", matches)) => login::login(matches).await,
        Some(("push", matches)) => push::push(matches).await,
        Some(("pull", matches)) => pull::pull(matches).await,
        Some(("search", matches)) => search::search(matches).await,
        Some(("delete", matches)) => delete::delete(matches).await,
        _ => Ok(()),
    }
}
