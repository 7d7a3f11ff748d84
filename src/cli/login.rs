//! `login` and `logout`.

use std::{
    io::{self, BufRead, IsTerminal},
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{
    connection::{Connection, successful},
    credentials::{Credentials, Flags, Kind, Target, server_text},
    exit::{EXIT_CODES, Failure, Reason},
    output,
    target::{ca_argument, server_argument},
};

const SESSION_PATH: &str = "/api/v3/auth/token";

/// The hub's answer to a login.
#[derive(Deserialize)]
struct Session {
    #[serde(rename = "User")]
    user: User,
    expires: String,
    token: String,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

/// `thingshub login`.
pub fn login_command() -> Command {
    Command::new("login")
        .about("Log in to a hub and store the token")
        .long_about(
            "Log in to a hub and store the token.\n\n\
             Asks for the password or the API key at the terminal, or reads it from the first line of \
             standard input. Stores the token in $XDG_CONFIG_HOME/thingshub/credentials.toml or \
             ~/.config/thingshub/credentials.toml, which only you can read.",
        )
        .after_help(EXIT_CODES)
        .arg(server_argument().help(
            "URL of the hub, such as https://hub.example:8443 [default: that of the last login]",
        ))
        .arg(ca_argument())
        .arg(
            Arg::new("username")
                .long("username")
                .value_name("NAME")
                .default_value("admin")
                .help("Username to log in with"),
        )
        .arg(
            Arg::new("api-key")
                .long("api-key")
                .action(ArgAction::SetTrue)
                .conflicts_with("username")
                .help("Store an API key instead of creating a session"),
        )
}

/// `thingshub logout`.
pub fn logout_command() -> Command {
    Command::new("logout")
        .about("End the session and delete the stored token; a stored API key stays valid")
        .after_help(EXIT_CODES)
}

/// Logs in.
pub async fn login(matches: &ArgMatches) -> Result<(), Failure> {
    let file = Credentials::file()?;
    let target = target(matches, &file)?;
    if matches.get_flag("api-key") {
        let token = secret("API key: ")?;
        remember_key(target, token, &file).await
    } else {
        let username = matches
            .get_one::<String>("username")
            .map_or("admin", String::as_str);
        let password = secret("Password: ")?;
        open_session(target, username, &password, &file).await
    }
}

/// Returns the hub to log in to. An existing token is ignored, and so is a damaged file if the server is
/// given.
fn target(matches: &ArgMatches, file: &Path) -> Result<Target, Failure> {
    let flags = Flags {
        server: matches.get_one::<Url>("server").cloned(),
        ca: matches
            .get_one::<PathBuf>("ca")
            .map(std::path::absolute)
            .transpose()
            .map_err(|error| Failure::usage(format!("--ca: {error}")))?,
        token: None,
    };
    let stored = match flags.server {
        Some(_) => Credentials::load(file).unwrap_or_default(),
        None => Credentials::load(file)?,
    };
    if flags.server.is_none() && stored.is_none() {
        return Err(Failure::usage("--server is required for the first login"));
    }
    let target = flags.with(stored)?;
    Ok(Target {
        token: None,
        ..target
    })
}

async fn open_session(
    target: Target,
    username: &str,
    password: &str,
    file: &Path,
) -> Result<(), Failure> {
    let ca = target.ca.clone();
    let hub = Connection::new(target)?;
    let body = json!({"username": username, "password": password});
    let request = hub
        .client()
        .post(hub.url(SESSION_PATH)?)
        .header("Content-Type", "application/json")
        .body(body.to_string());
    let response = successful(hub.send(request).await?).await?;
    let answer = response.bytes().await.map_err(|error| hub.broken(error))?;
    let session: Session = serde_json::from_slice(&answer)
        .map_err(|_| Failure::new(Reason::HubFailed, "the response is not that of a hub"))?;
    let credentials = Credentials {
        server: hub.server().to_owned(),
        ca,
        kind: Kind::Session,
        token: session.token,
    };
    credentials.save(file)?;
    output::line(&format!(
        "logged in to {} as {} until {}",
        hub.server(),
        session.user.username,
        session.expires
    ))
}

async fn remember_key(target: Target, token: String, file: &Path) -> Result<(), Failure> {
    let credentials = Credentials {
        server: server_text(&target.server).to_owned(),
        ca: target.ca.clone(),
        kind: Kind::ApiKey,
        token: token.clone(),
    };
    let hub = Connection::new(target)?;
    let request = hub
        .client()
        .get(hub.url("/api/v3/devices?limit=1")?)
        .bearer_auth(token);
    match successful(hub.send(request).await?).await {
        Ok(_) => {}
        // The hub accepts the key, but the key may not read devices.
        Err(failure) if failure.reason == Reason::Forbidden => {}
        Err(failure) if failure.reason == Reason::NotLoggedIn => {
            return Err(Failure::new(
                Reason::NotLoggedIn,
                format!("{} does not accept this API key", hub.server()),
            ));
        }
        Err(failure) => return Err(failure),
    }
    credentials.save(file)?;
    output::line(&format!("stored the API key for {}", hub.server()))
}

/// Logs out.
pub async fn logout() -> Result<(), Failure> {
    let file = Credentials::file()?;
    let Some(credentials) = Credentials::load(&file)? else {
        return Err(Failure::new(Reason::NotLoggedIn, "not logged in"));
    };
    let server = credentials.server.clone();
    if credentials.kind == Kind::ApiKey {
        Credentials::remove(&file)?;
        return output::line(&format!(
            "removed the stored API key for {server}; the key stays valid until it is deleted on the hub"
        ));
    }
    end_session(credentials).await.map_err(|failure| {
        // The file is kept: without the token the session could not be ended later.
        let text = format!("{}; still logged in ({})", failure.text, file.display());
        Failure::new(failure.reason, text)
    })?;
    Credentials::remove(&file)?;
    output::line(&format!("logged out of {server}"))
}

async fn end_session(credentials: Credentials) -> Result<(), Failure> {
    let token = credentials.token.clone();
    let hub = Connection::new(Flags::default().with(Some(credentials))?)?;
    let request = hub
        .client()
        .delete(hub.url(SESSION_PATH)?)
        .bearer_auth(token);
    match successful(hub.send(request).await?).await {
        Ok(_) => Ok(()),
        // The session has already ended.
        Err(failure) if failure.reason == Reason::NotLoggedIn => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Reads a secret from the terminal, without echo, or from the first line of standard input.
pub fn secret(prompt: &str) -> Result<String, Failure> {
    let secret = if io::stdin().is_terminal() {
        rpassword::prompt_password(prompt)
    } else {
        first_line(io::stdin().lock())
    };
    let secret =
        secret.map_err(|error| Failure::new(Reason::Here, format!("standard input: {error}")))?;
    if secret.is_empty() {
        return Err(Failure::usage("the first line of standard input is empty"));
    }
    Ok(secret)
}

/// Reads a new password like [`secret`]; at the terminal twice, because nobody sees what is typed.
pub fn new_secret(prompt: &str) -> Result<String, Failure> {
    let first = secret(prompt)?;
    if io::stdin().is_terminal() && secret("Repeat it: ")? != first {
        return Err(Failure::usage("the two passwords differ"));
    }
    Ok(first)
}

/// Reads a line without its end, but with all blanks: they may belong to a password.
fn first_line(mut input: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_as_it_is() {
        for (input, secret) in [
            ("a b \nmore", "a b "),
            ("a\r\n", "a"),
            ("a", "a"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(first_line(input.as_bytes()).unwrap(), secret, "{input:?}");
        }
    }
}
