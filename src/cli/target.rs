//! The arguments that name the hub of a command, for every command.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, value_parser};
use url::Url;

use super::{
    connection::Connection,
    credentials::{Credentials, Flags, server},
    exit::Failure,
};

/// The variable that a token comes from; `config` knows that it is no setting of the hub.
const TOKEN_VARIABLE: &str = "THINGSHUB_TOKEN";

/// `--server`, `--ca` and `--token`, of a command that comes after a login.
pub fn arguments() -> [Arg; 3] {
    [
        server_argument().help("The hub [default: the one of the login]"),
        ca_argument(),
        Arg::new("token")
            .long("token")
            .value_name("TOKEN")
            .env(TOKEN_VARIABLE)
            .hide_env_values(true)
            .help("Token or API key; others see a command line, so rather use the variable"),
    ]
}

/// `--server`.
pub fn server_argument() -> Arg {
    Arg::new("server")
        .long("server")
        .value_name("URL")
        .value_parser(server)
}

/// `--ca`.
pub fn ca_argument() -> Arg {
    Arg::new("ca")
        .long("ca")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Certificates to trust besides the system's (PEM)")
}

/// Gets ready to talk to the hub of the command line, or else of the login.
pub fn connect(matches: &ArgMatches) -> Result<Connection, Failure> {
    let flags = Flags {
        server: matches.get_one::<Url>("server").cloned(),
        ca: matches.get_one::<PathBuf>("ca").cloned(),
        // In a script, an empty variable is one that is not set.
        token: matches
            .get_one::<String>("token")
            .filter(|token| !token.is_empty())
            .cloned(),
    };
    // A command line that says everything needs no home folder.
    let stored = match Credentials::file() {
        Ok(file) => Credentials::load(&file)?,
        Err(_) => None,
    };
    Connection::new(flags.with(stored)?)
}
