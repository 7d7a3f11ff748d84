//! `thingshub secrets`: the keys that secrets are sealed with, and how to change them.
//!
//! These commands work on the data itself and not through a hub; hubs may run meanwhile.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{exit::Failure, output};
use crate::{
    api, app,
    config::Config,
    delivery, downlink,
    secret::{KeyId, Vault},
    store::{Store, sealed::Column},
    uplink::networks,
};

/// What changes between two passes was written by a hub that had not seen the new key; each pass is
/// a chance less.
const PASSES_MAX: usize = 10;

/// The command and those below it; `with_settings` adds the flags of the settings.
pub fn command(with_settings: impl Fn(Command) -> Command) -> Command {
    let keep = Arg::new("keep_key")
        .long("keep-key")
        .action(ArgAction::SetTrue)
        .help("Make no new key: seal with the first one that is there");
    Command::new("secrets")
        .about("Change the key that secrets are encrypted with")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(
            Command::new("status").about("Tell the keys, and how many values each has sealed"),
        ))
        .subcommand(with_settings(
            Command::new("rotate")
                .about("Make a new key and seal every value with it; the one before still opens")
                .arg(keep),
        ))
        .subcommand(with_settings(Command::new("forget").about(
            "Take the keys that no value needs any more out of the file",
        )))
}

/// Runs one of them.
pub async fn run(name: &str, matches: &ArgMatches, config: &Config) -> Result<(), Failure> {
    let vault = app::vault(config, false)?;
    let store = Store::open(config)
        .await
        .map_err(|error| format!("setting database_url: {}", error.causes()))?;
    let outcome = match name {
        "rotate" => rotate(&vault, &store, matches.get_flag("keep_key")).await,
        "forget" => forget(&vault, &store).await,
        _ => status(&vault, &store).await,
    };
    let closed = store.close().await;
    outcome?;
    Ok(closed.map_err(|error| error.causes())?)
}

async fn rotate(vault: &Vault, store: &Store, keeps_key: bool) -> Result<(), Failure> {
    match vault.file() {
        Some(file) if !keeps_key => {
            let id = vault
                .add_key(file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            output::line(&format!("made the key {id} in {}", file.display()))?;
        }
        Some(_) => {}
        None if !keeps_key => {
            output::line("the setting secret_key has the keys: its first one is used")?;
        }
        None => {}
    }
    let mut replaced: BTreeMap<&str, u64> = BTreeMap::new();
    for _ in 0..PASSES_MAX {
        let mut of_pass = 0;
        for column in Column::ALL {
            let again = |old: &[u8]| resealed(vault, column, old);
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
        output::line(&format!("sealed {count} values again: {name}"))?;
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
            "{} values open with none of these keys; whoever has the key they were sealed with can \
             put it into the file",
            counted.lost
        )));
    }
    Ok(())
}

async fn forget(vault: &Vault, store: &Store) -> Result<(), Failure> {
    let Some(file) = vault.file() else {
        return Err(Failure::usage(
            "the keys are in the setting secret_key; take the previous ones out there",
        ));
    };
    let counted = count(vault, store).await?;
    let broken = |error: std::io::Error| format!("{}: {error}", file.display());
    let needed = |id: KeyId| counted.by_key.contains_key(&id);
    for id in Vault::forget_keys(file, needed).map_err(broken)? {
        output::line(&format!("forgot the key {id}"))?;
    }
    status(&Vault::open(file, false).map_err(broken)?, store).await
}

#[derive(Default)]
struct Counted {
    by_key: BTreeMap<KeyId, u64>,
    lost: u64,
}

/// How many values each key opens.
async fn count(vault: &Vault, store: &Store) -> Result<Counted, Failure> {
    let mut counted = Counted::default();
    for column in Column::ALL {
        let look = |stored: &[u8]| {
            for key in keys_of(vault, column, stored) {
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

/// What a row stores, under the current key; `None`: it stays as it is.
fn resealed(vault: &Vault, column: Column, stored: &[u8]) -> Option<Vec<u8>> {
    match column {
        Column::Integrations => vault.reseal_credentials(delivery::VAULT_PURPOSE, stored),
        Column::NetworkConnections => vault.reseal_credentials(networks::VAULT_PURPOSE, stored),
        Column::DownlinkSettings => vault.reseal_credentials(downlink::VAULT_PURPOSE, stored),
        Column::IdempotencyKeys => vault.reseal(api::IDEMPOTENCY_PURPOSE, stored),
    }
}

/// The key that opens each value that a row stores; `None`: none does.
fn keys_of(vault: &Vault, column: Column, stored: &[u8]) -> Vec<Option<KeyId>> {
    match column {
        Column::Integrations => vault.keys_of_credentials(delivery::VAULT_PURPOSE, stored),
        Column::NetworkConnections => vault.keys_of_credentials(networks::VAULT_PURPOSE, stored),
        Column::DownlinkSettings => vault.keys_of_credentials(downlink::VAULT_PURPOSE, stored),
        Column::IdempotencyKeys => vec![vault.key_of(api::IDEMPOTENCY_PURPOSE, stored)],
    }
}
