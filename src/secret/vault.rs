//! The vault: what must be read again is encrypted with XChaCha20-Poly1305.
//!
//! A sealed value is the byte 1, the id of its key, a nonce and the ciphertext; values from before
//! keys had ids are a nonce and the ciphertext, and open with any key that fits. The file of keys may
//! change while a hub runs: it is read again before a value is sealed after a change, and when a
//! value names a key that is not known.

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

use super::keys::{ID_BYTES, Key, KeyId, Keys};
use crate::error::{Error, Result};

const NONCE_BYTES: usize = 24;
/// The first byte of a value that names its key.
const NAMES_ITS_KEY: u8 = 1;

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
    /// The file that had these keys.
    stamp: Option<Stamp>,
}

/// What tells one file from another that has taken its place.
type Stamp = (u64, u64, SystemTime);

impl Vault {
    /// A vault with these keys.
    pub fn with(keys: Keys) -> Self {
        let loaded = Loaded { keys, stamp: None };
        Self {
            inner: Arc::new(Inner {
                keys: RwLock::new(loaded),
                file: None,
            }),
        }
    }

    /// A vault with the keys of a file. `make`: a file that is missing is made, with a new key.
    pub fn open(file: &Path, make: bool) -> io::Result<Self> {
        let missing = |error: &io::Error| error.kind() == ErrorKind::NotFound;
        if make && fs::metadata(file).as_ref().is_err_and(missing) {
            Keys::of(Key::random()).write(file)?;
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

    /// Where its keys are; `None`: they came from the setting itself.
    pub fn file(&self) -> Option<&Path> {
        self.inner.file.as_deref()
    }

    /// Its keys as they are now.
    pub fn keys(&self) -> Keys {
        self.read_again(false);
        self.loaded(|loaded| loaded.keys.clone())
    }

    /// Puts a new key before those in its file.
    pub fn add_key(&self, file: &Path) -> io::Result<KeyId> {
        let keys = Keys::read(file)?.with_current(Key::random());
        keys.write(file)?;
        self.read_again(true);
        Ok(keys.current.id)
    }

    /// Takes the previous keys that nobody needs out of its file, and tells which those are.
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

    /// Encrypts a secret for one purpose; it opens for that purpose alone.
    pub fn seal(&self, purpose: &str, secret: &str) -> Result<Vec<u8>> {
        self.read_again(false);
        let key = self.loaded(|loaded| loaded.keys.current.clone());
        let nonce = rand::random::<[u8; NONCE_BYTES]>();
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: purpose.as_bytes(),
        };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| Error::internal("a secret could not be encrypted"))?;
        Ok([&[NAMES_ITS_KEY], &key.id.0[..], &nonce, &sealed].concat())
    }

    /// Decrypts what [`Vault::seal`] made for the same purpose.
    pub fn open_secret(&self, purpose: &str, sealed: &[u8]) -> Result<String> {
        if let Some((id, of_key)) = named_key(sealed) {
            if self.loaded(|loaded| loaded.keys.find(id).is_none()) {
                self.read_again(true);
            }
            if let Some(key) = self.loaded(|loaded| loaded.keys.find(id).cloned()) {
                return decrypt(&key, purpose, of_key).ok_or_else(|| unopened(purpose, ""));
            }
        }
        let keys = self.loaded(|loaded| loaded.keys.clone());
        keys.iter()
            .find_map(|key| decrypt(key, purpose, sealed))
            .ok_or_else(|| match named_key(sealed) {
                Some((id, _)) => unopened(purpose, &format!(": it was sealed with the key {id}")),
                None => unopened(purpose, ""),
            })
    }

    /// Whether a value is sealed with the current key.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        let current = self.keys().current.id;
        named_key(sealed).is_some_and(|(id, _)| id == current)
    }

    /// The same secret under the current key; `None`: it is there already, or does not open.
    pub fn reseal(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        if self.is_current(sealed) {
            return None;
        }
        let secret = self.open_secret(purpose, sealed).ok()?;
        self.seal(purpose, &secret).ok()
    }

    /// The key that opens a value; `None`: none of them does.
    pub fn key_of(&self, purpose: &str, sealed: &[u8]) -> Option<KeyId> {
        let keys = self.keys();
        let of_key = |key: &&Key| match named_key(sealed) {
            Some((id, rest)) if id == key.id => decrypt(key, purpose, rest).is_some(),
            _ => decrypt(key, purpose, sealed).is_some(),
        };
        keys.iter().find(of_key).map(|key| key.id)
    }

    fn loaded<T>(&self, look: impl FnOnce(&Loaded) -> T) -> T {
        look(&self.inner.keys.read().unwrap_or_else(|e| e.into_inner()))
    }

    /// Reads the file again if it has changed, or in any case. Keys that were known stay known: what
    /// was sealed with one a moment ago must open.
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

/// The key that a value names, and the rest of it.
fn named_key(sealed: &[u8]) -> Option<(KeyId, &[u8])> {
    let rest = sealed.strip_prefix(&[NAMES_ITS_KEY])?;
    let (id, rest) = rest.split_first_chunk::<ID_BYTES>()?;
    Some((KeyId(*id), rest))
}

fn decrypt(key: &Key, purpose: &str, sealed: &[u8]) -> Option<String> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload {
        msg: sealed,
        aad: purpose.as_bytes(),
    };
    let opened = key.cipher().decrypt(&XNonce::from(*nonce), payload).ok()?;
    String::from_utf8(opened).ok()
}

fn unopened(purpose: &str, more: &str) -> Error {
    Error::internal(format!(
        "the secret of {purpose} does not open with the keys of this hub{more}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_purpose_with_its_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(&folder.path().join("a"), true).unwrap();
        let sealed = vault.seal("integration", "s3cr3t").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"s3cr3t"));
        let again = Vault::open(&folder.path().join("a"), false).unwrap();
        assert_eq!(again.open_secret("integration", &sealed).unwrap(), "s3cr3t");
        assert!(again.open_secret("other", &sealed).is_err());
        let other = Vault::open(&folder.path().join("b"), true).unwrap();
        let error = other.open_secret("integration", &sealed).unwrap_err();
        let id = vault.keys().current.id.to_string();
        assert!(error.causes().contains(&id), "{}", error.causes());
        assert!(Vault::open(&folder.path().join("c"), false).is_err());
    }

    #[test]
    fn a_value_from_before_keys_had_ids_still_opens() {
        let vault = Vault::with(Keys::of(Key::random()));
        let sealed = vault.seal("p", "s3cr3t").unwrap();
        let old = &sealed[1 + ID_BYTES..];
        assert_eq!(vault.open_secret("p", old).unwrap(), "s3cr3t");
        let resealed = vault.reseal("p", old).unwrap();
        assert_eq!(vault.open_secret("p", &resealed).unwrap(), "s3cr3t");
        assert_eq!(vault.reseal("p", &resealed), None);
    }

    #[test]
    fn a_new_key_in_the_file_counts_for_who_runs_already() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        let hub = Vault::open(&file, true).unwrap();
        let before = hub.seal("p", "old").unwrap();
        let command = Vault::open(&file, false).unwrap();
        let new = command.add_key(&file).unwrap();
        let sealed = command.seal("p", "new").unwrap();
        assert_eq!(named_key(&sealed).unwrap().0, new);
        assert_eq!(hub.open_secret("p", &sealed).unwrap(), "new");
        assert_eq!(named_key(&hub.seal("p", "x").unwrap()).unwrap().0, new);
        assert_eq!(hub.open_secret("p", &before).unwrap(), "old");
        let moved = hub.reseal("p", &before).unwrap();
        assert_eq!(
            command.key_of("p", &before),
            Some(hub.keys().previous[0].id)
        );
        assert_eq!(command.key_of("p", &moved), Some(new));
        assert_eq!(command.open_secret("p", &moved).unwrap(), "old");
    }
}
