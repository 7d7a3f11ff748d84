//! The command line: the hub, and a client for hubs.
//!
//! The flags of `serve`, `migrate`, `secrets`, `users` and `config` are the settings, made from the one list in `config`.
//!
//! | file | what it is |
//! |---|---|
//! | `login.rs`, `call.rs`, `completions.rs` | the commands `login` and `logout`, `api`, `completions` |
//! | `driver/` | the commands under `driver` |
//! | `database.rs` | the commands `backup`, `restore`, `check`, `copy` and `migrate` |
//! | `secrets.rs`, `users.rs`, `settings.rs` | the commands under `secrets`, `users` and `config` |
//! | `pages.rs` | `api --all` |
//! | `target.rs` | the choice of the hub: `--server`, `--ca`, `--token` or the login |
//! | `connection.rs` | HTTPS to a hub |
//! | `credentials.rs` | the file of a login |
//! | `exit.rs`, `output.rs` | exit codes and standard output |

mod call;
mod completions;
mod connection;
mod credentials;
mod database;
mod driver;
mod exit;
mod login;
mod output;
mod pages;
mod secrets;
mod settings;
mod target;
mod users;

use std::{collections::HashMap, ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Arg, ArgAction, ArgMatches, Command};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use self::exit::Failure;
use crate::{
    api::{
        self,
        document::form::{Form, Format, Version},
    },
    app,
    config::{Config, LogFormat, SETTINGS},
    traces::{self, Traces},
};

/// The signal for a write beyond the limit on file sizes.
const SIGXFSZ: i32 = nix::sys::signal::Signal::SIGXFSZ as i32;

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    // Must come first: a worker must not read settings or arguments.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == crate::driver::WORKER_ARGUMENT)
    {
        return crate::driver::worker_main();
    }
    let outcome = match command().get_matches().subcommand() {
        Some(("serve", matches)) => load(matches).and_then(serve).map_err(Failure::from),
        Some(("copy", matches)) => database::copy(matches),
        Some((name @ ("migrate" | "backup" | "restore" | "check"), matches)) => {
            on_database(name, matches)
        }
        Some(("openapi", matches)) => openapi(matches),
        Some(("login", matches)) => client(login::login(matches)),
        Some(("logout", _)) => client(login::logout()),
        Some(("api", matches)) => client(call::call(matches)),
        Some(("secrets", matches)) => secrets(matches),
        Some(("users", matches)) => users(matches),
        Some(("config", matches)) => settings::run(matches),
        Some(("driver", matches)) => client(driver::driver(matches)),
        Some(("completions", matches)) => completions::print(matches, command()),
        _ => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn command() -> Command {
    let yaml = Arg::new("yaml")
        .long("yaml")
        .action(ArgAction::SetTrue)
        .help("Print YAML instead of JSON");
    let version = Arg::new("openapi-version")
        .long("openapi-version")
        .value_name("VERSION")
        .value_parser(["3.0", "3.1"])
        .default_value("3.0")
        .help("Version of OpenAPI in which the document is written");
    Command::new("thingshub")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A self-hosted IoT hub with a contract-first REST API")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(Command::new("serve").about("Run the hub")))
        .subcommands(database::commands(with_settings))
        .subcommand(secrets::command(with_settings))
        .subcommand(users::command(with_settings))
        .subcommand(settings::command(with_settings))
        .subcommand(
            Command::new("openapi")
                .about("Print the OpenAPI document")
                .arg(version)
                .arg(yaml),
        )
        .subcommand(login::login_command())
        .subcommand(login::logout_command())
        .subcommand(call::command())
        .subcommand(driver::command())
        .subcommand(completions::command())
}

fn with_settings(command: Command) -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("Settings file (TOML) [env: THINGSHUB_CONFIG]");
    let defaults = Config::default().shown();
    let settings = SETTINGS.iter().zip(defaults);
    settings.fold(command.arg(file), |command, (setting, default)| {
        let mut help = setting.help.trim().to_owned();
        if let Some(default) = default.text().filter(|text| !text.is_empty()) {
            help += &format!(" [default: {default}]");
        }
        if let Some(range) = setting.range() {
            help += &format!(" [{range}]");
        }
        help += &format!(" [env: THINGSHUB_{}]", setting.name.to_uppercase());
        command.arg(
            Arg::new(setting.name)
                .long(setting.name.replace('_', "-"))
                .value_name("VALUE")
                .allow_hyphen_values(setting.name == "admin_password")
                .help(help),
        )
    })
}

fn load(matches: &ArgMatches) -> Result<Config, String> {
    let (file, environment, flags) = sources(matches);
    Config::load(file.as_deref(), environment, &flags)
}

/// The settings file, the environment, and the settings among the flags.
type Sources = (
    Option<PathBuf>,
    HashMap<String, String>,
    Vec<(&'static str, String)>,
);

fn sources(matches: &ArgMatches) -> Sources {
    let flags = SETTINGS.iter().filter_map(|setting| {
        let value = matches.get_one::<String>(setting.name)?;
        Some((setting.name, value.clone()))
    });
    let file = matches.get_one::<String>("config").map(PathBuf::from);
    // A variable of somebody else may be no UTF-8.
    let text = |text: OsString| text.to_string_lossy().into_owned();
    let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    (file, environment.collect(), flags.collect())
}

fn serve(config: Config) -> Result<(), String> {
    let runtime = runtime()?;
    let traces = Traces::start(&config, runtime.handle().clone())?;
    log_and_trace(&config, traces.as_ref())?;
    // Opened early, because the file may be replaced at any time.
    let worker = crate::driver::Program::running()
        .map_err(|error| format!("cannot open the program's own executable: {error}"))?;
    let served = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        // A write beyond the limit on file sizes fails, which the hub can handle. It also raises this
        // signal, which ends a process without a handler.
        let _beyond_limit =
            signal(SignalKind::from_raw(SIGXFSZ)).map_err(|error| error.to_string())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        app::serve(config, worker, stop).await
    });
    if let Some(traces) = traces {
        traces.end();
    }
    served
}

fn on_database(name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let config = load(matches)?;
    log(&config)?;
    runtime()?.block_on(database::run(name, matches, &config))
}

fn secrets(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    let config = load(matches)?;
    log(&config)?;
    runtime()?.block_on(secrets::run(name, matches, &config))
}

fn users(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    let config = load(matches)?;
    log(&config)?;
    runtime()?.block_on(users::run(name, matches, &config))
}

fn openapi(matches: &ArgMatches) -> Result<(), Failure> {
    let version = matches.get_one::<String>("openapi-version");
    let version = match version.map(String::as_str) {
        Some("3.1") => Version::V3_1,
        _ => Version::V3_0,
    };
    let format = match matches.get_flag("yaml") {
        true => Format::Yaml,
        false => Format::Json,
    };
    output::bytes(api::document_text(None, Form(version, format)).as_bytes())
}

/// Runs a command that sends requests to a hub. One thread is enough for one request.
fn client(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    choose_cryptography();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?
        .block_on(command)
}

/// Selects the provider for outgoing requests, because two may be linked in.
fn choose_cryptography() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    choose_cryptography();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
}

fn log_filter(config: &Config) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&config.log_filter).map_err(|error| format!("setting log_filter: {error}"))
}

fn log(config: &Config) -> Result<(), String> {
    log_and_trace(config, None)
}

fn log_and_trace(config: &Config, exported: Option<&Traces>) -> Result<(), String> {
    // Spans that are exported are no part of the log.
    let none = format!("{}=off", traces::TARGET);
    let filter = log_filter(config)?.add_directive(none.parse().map_err(|_| none)?);
    let lines = tracing_subscriber::fmt::layer()
        // A failure to write the log, as on a full disk, must not end the process: the library would report
        // it on the same standard error, and panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // Without traces, the filter is not one of a layer, because that would cost more at each line.
    match exported {
        Some(traces) => tracing_subscriber::registry()
            .with(lines.with_filter(filter))
            .with(traces.layer())
            .init(),
        None => tracing_subscriber::registry()
            .with(lines)
            .with(filter)
            .init(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_fit_together() {
        command().debug_assert();
    }
}
