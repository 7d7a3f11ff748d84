//! The arguments that name the hub of a command, for every command.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, value_parser};
use url::Url;

use super::{
    connection::Connection,
    credentials::{Credentials, Flags, server},
    exit::Failure,
};

/// Environment variable with the token; `config` ignores it, because it is not a setting of the hub.
const TOKEN_VARIABLE: &str = "THINGSHUB_TOKEN";

/// `--server`, `--ca` and `--token`, of a command that comes after a login.
pub fn arguments() -> [Arg; 3] {
    [
        server_argument().help("URL of the hub [default: that of the login]"),
        ca_argument(),
        Arg::new("token")
            .long("token")
            .value_name("TOKEN")
            // One of 64 session tokens begins with a hyphen.
            .allow_hyphen_values(true)
            .env(TOKEN_VARIABLE)
            .hide_env_values(true)
            .help(
                "Token or API key; prefer the variable, because other users can see command lines",
            ),
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
        .help("File with certificates to trust in addition to the system's (PEM)")
}

/// Prepares a client for the hub of the command line, or else of the login.
pub fn connect(matches: &ArgMatches) -> Result<Connection, Failure> {
    let flags = Flags {
        server: matches.get_one::<Url>("server").cloned(),
        ca: matches.get_one::<PathBuf>("ca").cloned(),
        // An empty variable counts as not set, as is usual in scripts.
        token: matches
            .get_one::<String>("token")
            .filter(|token| !token.is_empty())
            .cloned(),
    };
    // A complete command line needs no home folder.
    let stored = match Credentials::file() {
        Ok(file) => Credentials::load(&file)?,
        Err(_) => None,
    };
    Connection::new(flags.with(stored)?)
}
