//! `thingshub users`: recovery after the last administrator's password was lost.
//!
//! It works directly on the database and not through a hub; hubs may run meanwhile.

use clap::{Arg, ArgMatches, Command};

use super::{exit::Failure, login::secret, output};
use crate::{app, config::Config};

/// The command and those below it; `with_settings` adds the flags of the settings.
pub fn command(with_settings: impl Fn(Command) -> Command) -> Command {
    let username = Arg::new("username")
        .value_name("USERNAME")
        .required(true)
        .help("Username of the user");
    Command::new("users")
        .about("Restore the access of users who have lost their passwords")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(
            Command::new("reset-password")
                .about(
                    "Set a new password, read from the terminal or standard input, and unlock the user; \
                     an operator also gets the role admin again",
                )
                .arg(username),
        ))
}

/// Runs the only subcommand.
pub async fn run(matches: &ArgMatches, config: &Config) -> Result<(), Failure> {
    let username = matches.get_one::<String>("username");
    let username = username.map(String::as_str).unwrap_or_default();
    let password = secret("New password: ")?;
    let user = app::reset_password(config, username, &password).await?;
    output::line(&format!(
        "{user} has the new password; all sessions of the user have ended"
    ))
}
