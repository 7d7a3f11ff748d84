//! `completions`: prints the script that completes this program's commands and flags in a shell.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::{exit::Failure, output};

/// `thingshub completions`.
pub fn command() -> Command {
    Command::new("completions")
        .about("Print a script that completes commands and flags in a shell")
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(value_parser!(Shell))
                .help("Shell to print the script for"),
        )
}

/// Prints the script for `program`.
pub fn print(matches: &ArgMatches, mut program: Command) -> Result<(), Failure> {
    let Some(shell) = matches.get_one::<Shell>("shell") else {
        return Err(Failure::usage("SHELL is required"));
    };
    let name = program.get_name().to_owned();
    // Written to memory first: the generator panics if standard output is closed.
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut program, name, &mut script);
    output::bytes(&script)
}
