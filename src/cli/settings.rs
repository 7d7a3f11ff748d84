//! `thingshub config check`: the settings that a hub would have, and everything that is wrong with them.

use clap::{ArgMatches, Command};

use super::{
    exit::{Failure, Reason},
    log_filter, output, sources,
};
use crate::{app, config::Config};

/// The command and those below it; `with_settings` adds the flags of the settings.
pub fn command(with_settings: impl Fn(Command) -> Command) -> Command {
    Command::new("config")
        .about("Check the settings")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(
            Command::new("check")
                .about("Print every setting with its value and source, and everything that is wrong")
                .after_help(
                    "The output has the form of a settings file. Secrets are not shown. Problems are printed to \
                     standard error, one per line. Changes nothing, and connects to nothing.\n\n\
                     Exit codes:\n  0  a hub could start with these settings\n  2  at least one setting is wrong",
                ),
        ))
}

/// Runs the only subcommand.
pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((_, matches)) = matches.subcommand() else {
        return Ok(());
    };
    let (file, environment, flags) = sources(matches);
    let reading = Config::read(file.as_deref(), environment, &flags);
    for line in reading.lines() {
        output::line(&line)?;
    }
    let mut problems = reading.problems;
    problems.extend(log_filter(&reading.config).err());
    problems.extend(app::unusable_files(&reading.config));
    let Some((last, others)) = problems.split_last() else {
        return Ok(());
    };
    for problem in others {
        eprintln!("thingshub: {problem}");
    }
    Err(Failure::new(Reason::Usage, last.clone()))
}
