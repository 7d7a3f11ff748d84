//! `thingshub secrets`: rotates the keys with which secrets are sealed, and handles the loss of one.
//!
//! These commands work directly on the database and not through a hub; hubs may run meanwhile.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{exit::Failure, output};
use crate::{
    app,
    config::Config,
    keyring::{self, Losses},
    secret::{KeyId, Vault},
    store::{
        Store,
        sealed::{Column, Row},
    },
};

/// Maximum number of passes. A value that changes between two passes was sealed by a hub that had not yet
/// read the new key; each pass makes that less likely.
const PASSES_MAX: usize = 10;

/// The command and those below it; `with_settings` adds the flags of the settings.
pub fn command(with_settings: impl Fn(Command) -> Command) -> Command {
    let keep = Arg::new("keep_key")
        .long("keep-key")
        .action(ArgAction::SetTrue)
        .help("Create no new key: encrypt with the first existing one");
    let yes = Arg::new("yes")
        .long("yes")
        .action(ArgAction::SetTrue)
        .help("Discard the values; without this flag, the command only lists them");
    Command::new("secrets")
        .about("Manage the keys that encrypt secrets")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(
            Command::new("status")
                .about("List the keys and the number of values that each encrypts"),
        ))
        .subcommand(with_settings(
            Command::new("rotate")
                .about("Create a new key and encrypt all values with it; previous keys still decrypt")
                .arg(keep),
        ))
        .subcommand(with_settings(
            Command::new("forget").about("Remove the keys that no value needs from the file"),
        ))
        .subcommand(with_settings(
            Command::new("discard")
                .about("Discard the values whose key is lost, so that a hub starts and they can be set again")
                .arg(yes),
        ))
}

/// Runs a subcommand.
pub async fn run(name: &str, matches: &ArgMatches, config: &Config) -> Result<(), Failure> {
    let store = match Store::open_beside(config).await {
        Ok(store) => store,
        Err(error) => return Err(app::unopened(config, &error).await.into()),
    };
    let outcome = match name {
        "discard" => discard(config, &store, matches.get_flag("yes")).await,
        _ => with_keys(name, matches, config, &store).await,
    };
    let closed = store.close().await;
    outcome?;
    Ok(closed.map_err(|error| error.causes())?)
}

async fn with_keys(
    name: &str,
    matches: &ArgMatches,
    config: &Config,
    store: &Store,
) -> Result<(), Failure> {
    let vault = keyring::existing(config)?;
    match name {
        "rotate" => rotate(&vault, store, matches.get_flag("keep_key")).await,
        "forget" => forget(&vault, store).await,
        _ => status(&vault, store).await,
    }
}

async fn discard(config: &Config, store: &Store, is_meant: bool) -> Result<(), Failure> {
    // A missing key means that all values are lost; a key that exists and cannot be read is an error.
    let is_missing = config.secret_key.is_none()
        && config.secret_key_file.is_none()
        && !config.data_dir.join("secret.key").exists();
    let vault = match is_missing {
        true => None,
        false => Some(keyring::existing(config)?),
    };
    let losses = Losses::find(vault.as_ref(), store).await;
    let losses = losses.map_err(|error| error.causes())?;
    if losses.is_empty() {
        return output::line("every stored secret has its key: there is nothing to discard");
    }
    if !is_meant {
        let (summary, source) = (losses.summary(), keyring::source(config));
        output::line(&format!(
            "no key in {source} decrypts these secrets: {summary}"
        ))?;
        return output::line("`thingshub secrets discard --yes` discards them for good");
    }
    for column in Column::ALL {
        let give_up = |row: &Row| keyring::given_up(vault.as_ref(), column, row);
        let count = store.replace_sealed(column, give_up).await;
        let count = count.map_err(|error| error.causes())?;
        if count > 0 {
            output::line(&format!("discarded secrets of {count} {}", column.name()))?;
        }
    }
    Ok(())
}

async fn rotate(vault: &Vault, store: &Store, keeps_key: bool) -> Result<(), Failure> {
    match vault.file() {
        Some(file) if !keeps_key => {
            let id = vault
                .add_key(file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            output::line(&format!("created the key {id} in {}", file.display()))?;
        }
        Some(_) => {}
        None if !keeps_key => {
            output::line("the keys are in the setting secret_key: encrypting with the first one")?;
        }
        None => {}
    }
    let mut replaced: BTreeMap<&str, u64> = BTreeMap::new();
    for _ in 0..PASSES_MAX {
        let mut of_pass = 0;
        for column in Column::ALL {
            let again = |row: &Row| keyring::resealed(vault, column, row);
            let count = store.replace_sealed(column, again).await;
            let count = count.map_err(|error| error.causes())?;
            *replaced.entry(column.name()).or_default() += count;
            of_pass += count;
        }
        if of_pass == 0 {
            break;
        }
    }
    for (name, count) in replaced {
        output::line(&format!("encrypted {count} values again: {name}"))?;
    }
    status(vault, store).await
}

async fn status(vault: &Vault, store: &Store) -> Result<(), Failure> {
    let counted = count(vault, store).await?;
    let keys = vault.keys();
    for key in keys.iter() {
        let values = counted.by_key.get(&key.id).copied().unwrap_or_default();
        let which = if key.id == keys.current.id {
            "current"
        } else {
            "previous"
        };
        output::line(&format!("key {} ({which}): {values} values", key.id))?;
    }
    if counted.lost > 0 {
        return Err(Failure::from(format!(
            "{} values cannot be decrypted with any of these keys; add the key that encrypted them to \
             the file, or use `thingshub secrets discard`",
            counted.lost
        )));
    }
    Ok(())
}

async fn forget(vault: &Vault, store: &Store) -> Result<(), Failure> {
    let Some(file) = vault.file() else {
        return Err(Failure::usage(
            "the keys are in the setting secret_key; remove the previous ones there",
        ));
    };
    let counted = count(vault, store).await?;
    let broken = |error: std::io::Error| format!("{}: {error}", file.display());
    let needed = |id: KeyId| counted.by_key.contains_key(&id);
    for id in Vault::forget_keys(file, needed).map_err(broken)? {
        output::line(&format!("removed the key {id}"))?;
    }
    status(&Vault::open(file, false).map_err(broken)?, store).await
}

#[derive(Default)]
struct Counted {
    by_key: BTreeMap<KeyId, u64>,
    lost: u64,
}

/// Counts the values that each key opens.
async fn count(vault: &Vault, store: &Store) -> Result<Counted, Failure> {
    let mut counted = Counted::default();
    for column in Column::ALL {
        let look = |row: &Row| {
            for key in keyring::keys_of(vault, column, row) {
                match key {
                    Some(id) => *counted.by_key.entry(id).or_default() += 1,
                    None => counted.lost += 1,
                }
            }
            None
        };
        let looked = store.replace_sealed(column, look).await;
        looked.map_err(|error| error.causes())?;
    }
    Ok(counted)
}
