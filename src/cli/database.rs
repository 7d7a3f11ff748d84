//! `thingshub backup`, `restore`, `check`, `copy` and `migrate`: the database as a whole.
//!
//! These commands work directly on the database and not through a hub.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{exit::Failure, output, runtime};
use crate::{
    app,
    backup::{self, Checked},
    config::Config,
    keyring::{self, Losses},
    store::{self, Lock, Store},
};

/// The commands; `with_settings` adds the flags of the settings.
pub fn commands(with_settings: impl Fn(Command) -> Command) -> [Command; 5] {
    let file = |help: &'static str| {
        Arg::new("file")
            .value_name("FILE")
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    let url = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("URL")
            .required(true)
            .help(help)
    };
    let flag = |id: &'static str, name: &'static str, help: &'static str| {
        Arg::new(id)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    [
        with_settings(
            Command::new("migrate")
                .about("Migrate the database to the current schema")
                .arg(flag(
                    "plan",
                    "plan",
                    "Only print the migrations that would run",
                )),
        ),
        with_settings(
            Command::new("backup")
                .about("Back up the whole database to a file; hubs may run meanwhile")
                .arg(file("File to write"))
                .arg(flag(
                    "with_keys",
                    "with-keys",
                    "Include the keys that decrypt the secrets: keep the file as safe as them",
                ))
                .arg(flag("force", "force", "Replace an existing file")),
        ),
        with_settings(
            Command::new("restore")
                .about("Restore a backup into an empty database")
                .arg(file("File that `thingshub backup` has written")),
        ),
        with_settings(
            Command::new("check")
                .about("Check the database and its secrets; exits with 1 if there are findings"),
        ),
        Command::new("copy")
            .about("Copy a database to an empty one, such as from SQLite to PostgreSQL")
            .arg(url(
                "from",
                "Database to read, sqlite://PATH or postgres://...",
            ))
            .arg(url("to", "Empty database to write")),
    ]
}

/// Runs one of the commands that have settings.
pub async fn run(name: &str, matches: &ArgMatches, config: &Config) -> Result<(), Failure> {
    let file = || {
        let file = matches.get_one::<PathBuf>("file");
        file.map(PathBuf::as_path).unwrap_or(Path::new(""))
    };
    match name {
        "backup" => back_up(matches, config, file()).await,
        "restore" => restore(config, file()).await,
        "check" => check(config).await,
        _ => migrate(config, matches.get_flag("plan")).await,
    }
}

async fn migrate(config: &Config, is_plan: bool) -> Result<(), Failure> {
    if !is_plan {
        let (_lock, store) = app::open_store(config).await?;
        store.close().await.map_err(|error| error.causes())?;
        return output::line(&format!("{} has the current schema", named(config)));
    }
    let pending = store::plan(&config.database_url()).await;
    let pending = pending.map_err(|error| format!("setting database_url: {}", error.causes()))?;
    if pending.is_empty() {
        let database = named(config);
        return output::line(&format!(
            "{database} has the current schema: no migration would run"
        ));
    }
    for migration in pending {
        output::line(&migration)?;
    }
    Ok(())
}

/// Names the database. Its file is part of that, because a command without settings makes one in the folder where it runs.
fn named(config: &Config) -> String {
    match store::file_of(&config.database_url()) {
        Some(file) => format!("the database in {}", file.display()),
        None => "the database".to_owned(),
    }
}

async fn back_up(matches: &ArgMatches, config: &Config, file: &Path) -> Result<(), Failure> {
    let has_keys = matches.get_flag("with_keys");
    let read_keys = || keyring::text(config);
    let keys: Option<&dyn Fn() -> Result<String, String>> = match has_keys {
        true => Some(&read_keys),
        false => None,
    };
    let made = backup::back_up(
        &config.database_url(),
        file,
        keys,
        matches.get_flag("force"),
    )
    .await?;
    if !has_keys {
        eprintln!(
            "thingshub: the backup has no keys: keep a copy of {} elsewhere, because secrets cannot be decrypted \
             without it",
            keyring::source(config)
        );
    }
    output::line(&format!(
        "{}: {} rows of {} tables, {} bytes",
        file.display(),
        made.rows,
        made.tables,
        made.bytes
    ))
}

async fn restore(config: &Config, file: &Path) -> Result<(), Failure> {
    let _lock = app::lock(config)?;
    let mut created = None;
    let put = |keys: &str| {
        created = keyring::put(config, keys)?;
        Ok(())
    };
    let restored = backup::restore(&config.database_url(), file, put).await?;
    let header = &restored.header;
    let source = keyring::source(config);
    match (header.has_keys, created) {
        (true, Some(file)) => {
            output::line(&format!("created the file of keys {}", file.display()))?
        }
        (true, None) => eprintln!(
            "thingshub: {source} has keys already: those of the backup are not used; `thingshub check` tells if \
             secrets need them"
        ),
        (false, _) => eprintln!(
            "thingshub: the backup has no keys: put the file of keys at {source} before you start a hub"
        ),
    }
    output::line(&format!(
        "restored {} rows from the backup of {}, made by thingshub {}",
        restored.rows,
        header.made_at.format("%Y-%m-%dT%H:%M:%SZ"),
        header.program
    ))
}

async fn check(config: &Config) -> Result<(), Failure> {
    let Checked {
        mut findings,
        is_current,
    } = backup::check(&config.database_url()).await;
    // Secrets can only be read with the current schema.
    if is_current {
        findings.extend(secrets(config).await?);
    }
    for finding in &findings {
        output::line(finding)?;
    }
    match findings.len() {
        0 => output::line("no findings"),
        1 => Err(Failure::from("1 finding".to_owned())),
        count => Err(Failure::from(format!("{count} findings"))),
    }
}

/// Searches for secrets that no key opens.
async fn secrets(config: &Config) -> Result<Vec<String>, Failure> {
    let store = Store::open_beside(config)
        .await
        .map_err(|error| format!("setting database_url: {}", error.causes()))?;
    let vault = keyring::existing(config);
    let losses = Losses::find(vault.as_ref().ok(), &store).await;
    let closed = store.close().await;
    let losses = losses.map_err(|error| error.causes())?;
    closed.map_err(|error| error.causes())?;
    let mut findings = losses.findings(&keyring::source(config));
    // Without any secret, a missing key is no finding: the first start generates it.
    if let Err(error) = vault
        && !findings.is_empty()
    {
        findings.insert(0, format!("secrets: {error}"));
    }
    Ok(findings)
}

/// Runs `copy`, which has no settings.
pub fn copy(matches: &ArgMatches) -> Result<(), Failure> {
    let url = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let (from, to) = (url("from"), url("to"));
    for (flag, url) in [("--from", &from), ("--to", &to)] {
        let is_known = ["sqlite:", "postgres:", "postgresql:"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        if !is_known {
            return Err(Failure::usage(format!(
                "{flag}: must begin with sqlite:// or postgres://"
            )));
        }
    }
    if from == to {
        return Err(Failure::usage("--from and --to: must be two databases"));
    }
    // No hub may start on the source meanwhile, if none runs; on PostgreSQL nothing can prevent it.
    let source = Lock::take_at(&from, "--from");
    if let Err(error) = &source {
        eprintln!("thingshub: {error}; what it writes from now on is not copied");
    }
    let _target = Lock::take_at(&to, "--to")?;
    let report = |line: &str| output::line(line).map_err(|failure| failure.text);
    let rows = runtime()?.block_on(backup::copy(&from, &to, report))?;
    output::line(&format!("copied {rows} rows; all tables are equal"))
}
