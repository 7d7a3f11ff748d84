//! The vault: secrets that the hub must be able to read are encrypted with XChaCha20-Poly1305.
//!
//! Values contain the id of their key and are bound to their row and address (`place.rs`, `value.rs`). The
//! file of keys may change while a hub runs: it is read again before sealing if it has changed, and when a
//! value contains an unknown key id.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::SystemTime,
};

use chacha20poly1305::{
    XNonce,
    aead::{Aead, Payload},
};

use super::{
    claim::Address,
    keys::{Key, KeyId, Keys},
    place::{Slot, write_address},
    value::{self, Parts},
};
use crate::error::{Error, Reason, Result};

const NONCE_BYTES: usize = 24;

/// Encrypts secrets at rest.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    keys: RwLock<Loaded>,
    file: Option<PathBuf>,
}

struct Loaded {
    keys: Keys,
    /// State of the file from which the keys were read.
    stamp: Option<Stamp>,
}

/// Inode, size and time of modification of a file; they differ if it was replaced.
type Stamp = (u64, u64, SystemTime);

impl Vault {
    /// Creates a vault with these keys.
    pub fn with(keys: Keys) -> Self {
        let loaded = Loaded { keys, stamp: None };
        Self {
            inner: Arc::new(Inner {
                keys: RwLock::new(loaded),
                file: None,
            }),
        }
    }

    /// Creates a vault with the keys of a file. With `make`, a missing file is created with a new key.
    pub fn open(file: &Path, make: bool) -> io::Result<Self> {
        let missing = |error: &io::Error| error.kind() == ErrorKind::NotFound;
        if make && fs::metadata(file).as_ref().is_err_and(missing) {
            Keys::of(Key::random()).make(file)?;
        }
        let loaded = Loaded {
            stamp: stamp(file),
            keys: Keys::read(file)?,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                keys: RwLock::new(loaded),
                file: Some(file.to_owned()),
            }),
        })
    }

    /// Returns the path of the file of keys; `None` if they came from the setting itself.
    pub fn file(&self) -> Option<&Path> {
        self.inner.file.as_deref()
    }

    /// Returns the current state of the keys.
    pub fn keys(&self) -> Keys {
        self.read_again(false);
        self.loaded(|loaded| loaded.keys.clone())
    }

    /// Adds a new key to the file as the current one. Values are sealed with it from now on.
    pub fn add_key(&self, file: &Path) -> io::Result<KeyId> {
        let keys = Keys::read(file)?.with_current(Key::random());
        keys.write(file)?;
        self.read_again(true);
        Ok(keys.current.id)
    }

    /// Returns true if the vault has this key.
    pub fn has_key(&self, id: KeyId) -> bool {
        if self.loaded(|loaded| loaded.keys.find(id).is_none()) {
            self.read_again(true);
        }
        self.loaded(|loaded| loaded.keys.find(id).is_some())
    }

    /// Removes the previous keys that are no longer needed from the file, and returns their ids.
    pub fn forget_keys(file: &Path, needed: impl Fn(KeyId) -> bool) -> io::Result<Vec<KeyId>> {
        let mut keys = Keys::read(file)?;
        let all = std::mem::take(&mut keys.previous);
        let (kept, forgotten): (Vec<Key>, Vec<Key>) =
            all.into_iter().partition(|key| needed(key.id));
        keys.previous = kept;
        if !forgotten.is_empty() {
            keys.write(file)?;
        }
        Ok(forgotten.into_iter().map(|key| key.id).collect())
    }

    /// Encrypts a secret for its row and its address, which the row's settings contain.
    pub fn seal(&self, slot: &Slot<'_>, sent_to: Address, secret: &str) -> Result<Vec<u8>> {
        self.seal_for(slot, &write_address(sent_to), secret)
            .ok_or_else(|| Error::internal("a secret could not be encrypted"))
    }

    fn seal_for(&self, slot: &Slot<'_>, address: &[u8], secret: &str) -> Option<Vec<u8>> {
        self.read_again(false);
        let key = self.loaded(|loaded| loaded.keys.current.clone());
        let nonce = rand::random::<[u8; NONCE_BYTES]>();
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: &slot.binding(address)?,
        };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload).ok()?;
        value::write(key.id, address, &nonce, &sealed)
    }

    /// Decrypts a value that [`Vault::seal`] made for the same row and address.
    pub fn open_value(&self, slot: &Slot<'_>, sealed: &[u8]) -> Result<String> {
        if let Some(id) = value::named_key(sealed)
            && self.has_key(id)
        {
            let key = self.loaded(|loaded| loaded.keys.find(id).cloned());
            let opened = key.and_then(|key| decrypt(&key, slot, sealed));
            return opened.ok_or_else(|| {
                unopened(
                    slot,
                    "it is damaged, or of another row or address".to_owned(),
                )
            });
        }
        let keys = self.loaded(|loaded| loaded.keys.clone());
        keys.iter()
            .find_map(|key| decrypt_nameless(key, slot, sealed))
            .ok_or_else(|| match value::named_key(sealed) {
                _ if sealed == value::GIVEN_UP => unopened(slot, "it was given up".to_owned()),
                Some(id) => unopened(slot, format!("it was sealed with the key {id}")),
                None => unopened(slot, "no key fits".to_owned()),
            })
    }

    /// Seals the value again under the current key, bound to its row and address; `None` if it needs no
    /// change or cannot be opened. `sent_to` is the address for a value that contains none.
    pub fn reseal(&self, slot: &Slot<'_>, sent_to: Address, sealed: &[u8]) -> Option<Vec<u8>> {
        let address = value::address(sealed);
        let current = self.keys().current.id;
        if address.is_some() && value::named_key(sealed) == Some(current) {
            return None;
        }
        let secret = self.open_value(slot, sealed).ok()?;
        let address =
            match address.filter(|_| value::named_key(sealed).is_some_and(|id| self.has_key(id))) {
                Some(address) => address.to_vec(),
                None => write_address(sent_to),
            };
        self.seal_for(slot, &address, &secret)
    }

    /// Returns the key that opens a value; `None` if none does.
    pub fn key_of(&self, slot: &Slot<'_>, sealed: &[u8]) -> Option<KeyId> {
        let named = value::named_key(sealed);
        let of_key = |key: &&Key| match named == Some(key.id) {
            true => decrypt(key, slot, sealed).is_some(),
            false => decrypt_nameless(key, slot, sealed).is_some(),
        };
        self.keys().iter().find(of_key).map(|key| key.id)
    }

    fn loaded<T>(&self, look: impl FnOnce(&Loaded) -> T) -> T {
        look(&self.inner.keys.read().unwrap_or_else(|e| e.into_inner()))
    }

    /// Reads the file again if it has changed, or always with `anyway`. Known keys are kept: values that
    /// were sealed with one a moment ago must still open.
    fn read_again(&self, anyway: bool) {
        let Some(file) = &self.inner.file else { return };
        let now = stamp(file);
        if !anyway && self.loaded(|loaded| loaded.stamp == now) {
            return;
        }
        match Keys::read(file) {
            Ok(mut keys) => {
                let mut loaded = self.inner.keys.write().unwrap_or_else(|e| e.into_inner());
                for known in loaded.keys.iter() {
                    if keys.find(known.id).is_none() {
                        keys.previous.push(known.clone());
                    }
                }
                *loaded = Loaded { keys, stamp: now };
            }
            Err(error) => tracing::warn!("the file of the secret keys cannot be read: {error}"),
        }
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let found = fs::metadata(file).ok()?;
    Some((found.ino(), found.len(), found.modified().ok()?))
}

/// Returns true if a value is bound to this address.
pub(super) fn is_bound_to(sealed: &[u8], sent_to: Address) -> bool {
    value::address(sealed) == Some(&write_address(sent_to))
}

/// Opens a value with the key whose id it contains.
fn decrypt(key: &Key, slot: &Slot<'_>, value: &[u8]) -> Option<String> {
    match value::parts(value)? {
        Parts::Bound {
            address, sealed, ..
        } => decrypt_bound(key, &slot.binding(address)?, sealed),
        Parts::Named { sealed, .. } => decrypt_nameless(key, slot, sealed),
    }
}

/// Opens nonce and ciphertext of a value that was sealed before values were bound to their row.
fn decrypt_nameless(key: &Key, slot: &Slot<'_>, sealed: &[u8]) -> Option<String> {
    slot.former_bindings()
        .iter()
        .find_map(|binding| decrypt_bound(key, binding.as_bytes(), sealed))
}

fn decrypt_bound(key: &Key, binding: &[u8], sealed: &[u8]) -> Option<String> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload {
        msg: sealed,
        aad: binding,
    };
    let opened = key.cipher().decrypt(&XNonce::from(*nonce), payload).ok()?;
    String::from_utf8(opened).ok()
}

/// Not an internal error: somebody who has the secret, or the key, can fix it.
fn unopened(slot: &Slot<'_>, why: String) -> Error {
    let which = match slot.name {
        "" => "value",
        name => name,
    };
    let place = slot.place;
    Error::Unavailable {
        reason: Reason::Unavailable,
        what: format!(
            "a stored secret ({which}) does not open with the keys of this hub: give it again, or put its \
             key back"
        ),
        retry_after_s: 60,
        source: Some(format!("{} {}: {why}", place.kind, place.row).into()),
    }
}

#[cfg(test)]
impl Vault {
    /// A value as it was before values were bound to their row.
    pub(super) fn seal_unbound(&self, purpose: &str, secret: &str) -> Vec<u8> {
        let key = self.keys().current;
        let nonce = rand::random::<[u8; NONCE_BYTES]>();
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: purpose.as_bytes(),
        };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload);
        [&[1], &key.id.0[..], &nonce, &sealed.unwrap()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::TenantId,
        secret::{NOWHERE, Place, keys::ID_BYTES},
    };

    fn place() -> Place {
        Place::new("p", TenantId(1), 1)
    }

    fn seal(vault: &Vault, secret: &str) -> Vec<u8> {
        vault.seal(&Slot::only(&place()), NOWHERE, secret).unwrap()
    }

    fn open(vault: &Vault, sealed: &[u8]) -> Result<String> {
        vault.open_value(&Slot::only(&place()), sealed)
    }

    #[test]
    fn a_secret_opens_in_its_place_with_its_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(&folder.path().join("a"), true).unwrap();
        let sealed = seal(&vault, "s3cr3t");
        assert!(!sealed.windows(6).any(|window| window == b"s3cr3t"));
        let again = Vault::open(&folder.path().join("a"), false).unwrap();
        assert_eq!(open(&again, &sealed).unwrap(), "s3cr3t");
        let elsewhere = Place::new("p", TenantId(1), 2);
        let opened = again.open_value(&Slot::only(&elsewhere), &sealed);
        assert!(opened.is_err());
        let other = Vault::open(&folder.path().join("b"), true).unwrap();
        let error = open(&other, &sealed).unwrap_err();
        let id = vault.keys().current.id.to_string();
        assert!(error.causes().contains(&id), "{}", error.causes());
        assert!(!error.to_string().contains(&id), "{error}");
        assert!(Vault::open(&folder.path().join("c"), false).is_err());
        assert!(open(&vault, value::GIVEN_UP).is_err());
        assert!(open(&vault, b"").is_err());
    }

    #[test]
    fn values_of_former_versions_open_and_are_bound_when_sealed_again() {
        let vault = Vault::with(Keys::of(Key::random()));
        let place = place();
        let slot = Slot::only(&place);
        let named = vault.seal_unbound("p", "s3cr3t");
        let nameless = &named[1 + ID_BYTES..];
        for old in [&named[..], nameless] {
            assert_eq!(open(&vault, old).unwrap(), "s3cr3t");
            assert!(vault.key_of(&slot, old).is_some());
            let bound = vault.reseal(&slot, NOWHERE, old).unwrap();
            assert_eq!(open(&vault, &bound).unwrap(), "s3cr3t");
            assert_eq!(vault.reseal(&slot, NOWHERE, &bound), None);
            let elsewhere = Place::new("p", TenantId(1), 2);
            let elsewhere = Slot::only(&elsewhere);
            assert!(vault.open_value(&elsewhere, old).is_ok());
            assert!(vault.open_value(&elsewhere, &bound).is_err());
        }
    }

    #[test]
    fn a_new_key_in_the_file_counts_for_who_runs_already() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        let hub = Vault::open(&file, true).unwrap();
        let before = seal(&hub, "old");
        let command = Vault::open(&file, false).unwrap();
        let new = command.add_key(&file).unwrap();
        let sealed = seal(&command, "new");
        assert_eq!(value::named_key(&sealed), Some(new));
        assert_eq!(open(&hub, &sealed).unwrap(), "new");
        assert_eq!(value::named_key(&seal(&hub, "x")), Some(new));
        assert_eq!(open(&hub, &before).unwrap(), "old");
        let place = place();
        let slot = Slot::only(&place);
        let moved = hub.reseal(&slot, NOWHERE, &before).unwrap();
        assert_eq!(
            command.key_of(&slot, &before),
            Some(hub.keys().previous[0].id)
        );
        assert_eq!(command.key_of(&slot, &moved), Some(new));
        assert_eq!(open(&command, &moved).unwrap(), "old");
    }
}
