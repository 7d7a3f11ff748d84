//! The keys and the values sealed with them: checks that every stored value has its key, and handles those
//! without one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    api,
    config::{Config, Secret},
    delivery,
    error::Result,
    export, networks, private,
    secret::{
        self, GIVEN_UP, KeyId, Keys, Place, SealedCredentials, Slot, Stored, Vault, addresses,
    },
    store::{
        Store,
        core::starting,
        sealed::{Column, Row},
    },
};

/// Length of the prefix of a sealed value that contains its key id, in bytes.
const START: u8 = 9;

/// Opens the vault for a hub. The first start generates a key; a later one must have the keys of all stored
/// values, because a new key in place of a lost one would only hide the loss. The error is one line.
pub async fn open(config: &Config, store: &Store) -> Result<Vault, String> {
    let is_made = config.secret_key.is_none() && config.secret_key_file.is_none();
    let file = config.data_dir.join("secret.key");
    let vault = match is_made && !file.exists() {
        true => None,
        false => Some(existing(config)?),
    };
    let find = async || Losses::find(vault.as_ref(), store).await;
    let losses = starting::persist(config, find).await;
    let losses = losses.map_err(|error| format!("setting database_url: {}", error.causes()))?;
    if let Some(refusal) = losses.refusal(&source(config)) {
        return Err(refusal);
    }
    if losses.damaged > 0 {
        let damaged = losses.damaged;
        tracing::warn!(
            "{damaged} stored secrets are damaged: the health of their resources says so"
        );
    }
    match vault {
        Some(vault) => Ok(vault),
        None => read(&file, true),
    }
}

/// Opens the vault that the settings name, whose keys must exist.
pub fn existing(config: &Config) -> Result<Vault, String> {
    if let Some(Secret(keys)) = &config.secret_key {
        let keys = Keys::parse(keys).map_err(|error| format!("setting secret_key: {error}"))?;
        return Ok(Vault::with(keys));
    }
    match &config.secret_key_file {
        Some(file) => Vault::open(file, false)
            .map_err(|error| format!("setting secret_key_file: {}: {error}", file.display())),
        None => read(&config.data_dir.join("secret.key"), false),
    }
}

fn read(file: &Path, make: bool) -> Result<Vault, String> {
    Vault::open(file, make)
        .map_err(|error| format!("setting data_dir: {}: {error}", file.display()))
}

/// Returns the keys as the content of a file.
pub fn text(config: &Config) -> Result<String, String> {
    Ok(existing(config)?.keys().lines())
}

/// Puts keys into the file that the settings name, unless there are keys already. Returns the file if it was created.
pub fn put(config: &Config, text: &str) -> Result<Option<PathBuf>, String> {
    Keys::parse(text).map_err(|error| format!("keys: {error}"))?;
    if config.secret_key.is_some() {
        return Ok(None);
    }
    let in_data_dir = config.data_dir.join("secret.key");
    let file = config.secret_key_file.clone().unwrap_or(in_data_dir);
    let created = private::create(&file, text.as_bytes());
    let created = created.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(created.then_some(file))
}

/// Describes the source of the keys, for a person.
pub fn source(config: &Config) -> String {
    if config.secret_key.is_some() {
        return "the setting secret_key".to_owned();
    }
    let in_data_dir = config.data_dir.join("secret.key");
    let file = config.secret_key_file.as_ref().unwrap_or(&in_data_dir);
    file.display().to_string()
}

/// The stored values that no key opens.
#[derive(Debug, Default)]
pub struct Losses {
    values: BTreeMap<Column, u64>,
    keys: BTreeSet<KeyId>,
    /// Number of damaged values, which do not prevent a start. A value without a key id that no key opens
    /// counts as damaged if some other value does open.
    damaged: u64,
}

impl Losses {
    /// Searches all stored values. A key is identified by its hash, so that a value is known to have its key
    /// without being opened; only the few without a key id are opened.
    pub async fn find(vault: Option<&Vault>, store: &Store) -> Result<Self> {
        let mut losses = Self::default();
        let mut nameless: BTreeMap<Column, u64> = BTreeMap::new();
        let mut has_opened = false;
        for column in Column::ALL {
            if column == Column::IdempotencyKeys {
                continue;
            }
            let look = |row: &Row| {
                for found in each(column, row, |slot, sealed| verdict(vault, slot, sealed)) {
                    match found {
                        Verdict::Opens => has_opened = true,
                        Verdict::GivenUp => {}
                        Verdict::Lacks(key) => losses.note(column, key, 1),
                        Verdict::Damaged => losses.damaged += 1,
                        Verdict::Nameless => *nameless.entry(column).or_default() += 1,
                    }
                }
                None
            };
            store.replace_sealed(column, look).await?;
        }
        // Answers without a key id are too old to be requested again, so they are not counted.
        for (start, count) in store.starts_of_answers(START).await? {
            match secret::named_key(&start) {
                Some(key) if vault.is_some_and(|vault| vault.has_key(key)) => has_opened = true,
                Some(key) => {
                    let count = u64::try_from(count).unwrap_or_default();
                    losses.note(Column::IdempotencyKeys, key, count);
                }
                None => {}
            }
        }
        match has_opened {
            true => losses.damaged += nameless.values().sum::<u64>(),
            false => {
                for (column, count) in nameless {
                    *losses.values.entry(column).or_default() += count;
                }
            }
        }
        Ok(losses)
    }

    fn note(&mut self, column: Column, key: KeyId, count: u64) {
        *self.values.entry(column).or_default() += count;
        self.keys.insert(key);
    }

    /// Returns the reason why the hub must not start, in one line; `None` if it may.
    fn refusal(&self, source: &str) -> Option<String> {
        if self.values.is_empty() {
            return None;
        }
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        let keys = match keys.as_slice() {
            [] => "with a key".to_owned(),
            keys => format!("with the key {}", keys.join(", ")),
        };
        Some(format!(
            "the database has secrets that were sealed {keys}, which is not in {source}: {}; put the key \
             back from its backup, or run `thingshub secrets discard` if it is lost",
            self.summary()
        ))
    }

    /// Number of lost values of each column, as text.
    pub fn summary(&self) -> String {
        let counts = self.values.iter();
        let counts = counts.map(|(column, count)| format!("{count} of {}", column.name()));
        counts.collect::<Vec<_>>().join(", ")
    }

    /// A line for each column with values that no key opens, and for damaged ones.
    pub fn findings(&self, source: &str) -> Vec<String> {
        let lost = self.values.iter().map(|(column, count)| {
            let place = column.place();
            format!("secrets: {count} values in {place} that no key in {source} opens")
        });
        let damaged =
            (self.damaged > 0).then(|| format!("secrets: {} values are damaged", self.damaged));
        lost.chain(damaged).collect()
    }

    /// True if every value has its key and is not damaged.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.damaged == 0
    }
}

enum Verdict {
    Opens,
    GivenUp,
    Lacks(KeyId),
    /// Not a sealed value.
    Damaged,
    /// The value has no key id, and no key opens it.
    Nameless,
}

fn verdict(vault: Option<&Vault>, slot: &Slot<'_>, sealed: &[u8]) -> Verdict {
    let named = secret::named_key(sealed);
    match (vault, named) {
        _ if sealed == GIVEN_UP => Verdict::GivenUp,
        (Some(vault), Some(key)) if vault.has_key(key) => Verdict::Opens,
        (Some(vault), _) if vault.key_of(slot, sealed).is_some() => Verdict::Opens,
        (_, Some(key)) => Verdict::Lacks(key),
        // Shorter than nonce and tag, or a truncated JSON object of named values.
        (_, None) if sealed.len() < 40 || sealed.starts_with(b"{") => Verdict::Damaged,
        (_, None) => Verdict::Nameless,
    }
}

/// Returns a row's sealed value under the current key and bound to the row; `None` if it needs no change.
pub fn resealed(vault: &Vault, column: Column, row: &Row) -> Option<Vec<u8>> {
    let place = place(column, row);
    let stored = stored(row);
    let kind = row.settings["type"].as_str().unwrap_or_default();
    match column {
        Column::Integrations => vault.reseal_credentials(&place, stored, |name| {
            addresses::of_integration(&row.kind, name)
        }),
        Column::ScheduledExports => {
            vault.reseal_credentials(&place, stored, |_| addresses::of_export(&row.kind))
        }
        Column::NetworkConnections => {
            vault.reseal_credentials(&place, stored, |_| networks::secret_address(kind))
        }
        Column::DownlinkSettings => {
            vault.reseal_credentials(&place, stored, |_| networks::downlink_secret_address(kind))
        }
        Column::IdempotencyKeys => vault.reseal(&Slot::only(&place), secret::NOWHERE, &row.sealed),
    }
}

/// Returns the key that opens each value of a row; `None` for a value that no key opens.
pub fn keys_of(vault: &Vault, column: Column, row: &Row) -> Vec<Option<KeyId>> {
    let values = each(column, row, |slot, sealed| match sealed == GIVEN_UP {
        true => None,
        false => Some(vault.key_of(slot, sealed)),
    });
    values.into_iter().flatten().collect()
}

/// Returns a row's sealed value with those values given up that no key opens; `None` if there are none.
pub fn given_up(vault: Option<&Vault>, column: Column, row: &Row) -> Option<Vec<u8>> {
    let is_lost = |slot: &Slot<'_>, sealed: &[u8]| {
        sealed != GIVEN_UP && vault.and_then(|vault| vault.key_of(slot, sealed)).is_none()
    };
    let place = place(column, row);
    match column {
        Column::IdempotencyKeys => {
            is_lost(&Slot::only(&place), &row.sealed).then(|| GIVEN_UP.to_vec())
        }
        _ => SealedCredentials::give_up(&place, stored(row), is_lost),
    }
}

fn each<T>(column: Column, row: &Row, look: impl Fn(&Slot<'_>, &[u8]) -> T) -> Vec<T> {
    let place = place(column, row);
    match column {
        Column::IdempotencyKeys => vec![look(&Slot::only(&place), &row.sealed)],
        _ => SealedCredentials::each(&place, stored(row), look),
    }
}

fn stored(row: &Row) -> Stored<'_> {
    Stored {
        settings: &row.settings,
        secret: Some(&row.sealed),
    }
}

fn place(column: Column, row: &Row) -> Place {
    let (tenant, key) = (row.tenant, &row.key);
    match column {
        Column::Integrations => delivery::place(tenant, key),
        Column::ScheduledExports => export::targets::place(tenant, key),
        Column::NetworkConnections => networks::place(tenant, key),
        Column::DownlinkSettings => networks::downlink_place(tenant, key),
        Column::IdempotencyKeys => api::place_of_answer(tenant, key.clone()),
    }
}
