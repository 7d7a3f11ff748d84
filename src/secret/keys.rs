//! The keys of a vault: the current one seals, the previous ones can still open.
//!
//! A key is identified by the start of a hash of it, which reveals nothing about the key. Every sealed value
//! contains the id of its key, so that keys can be rotated while hubs run.

use std::{fmt, fs, io, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{XChaCha20Poly1305, aead::KeyInit};
use sha2::{Digest, Sha256};

use crate::private;

/// Length of a key, in bytes.
const KEY_BYTES: usize = 32;
/// Length of a key's id, in bytes.
pub const ID_BYTES: usize = 8;
/// Separates ids from other hashes of a key.
const ID_DOMAIN: &[u8] = b"thingshub key id\0";

/// Identifier of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub [u8; ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// One key.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; KEY_BYTES],
    /// Identifier of the key.
    pub id: KeyId,
}

impl Key {
    fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(ID_DOMAIN)
            .chain_update(bytes)
            .finalize()
            .into();
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&hash[..ID_BYTES]);
        Self {
            bytes,
            id: KeyId(id),
        }
    }

    /// A new random key.
    pub fn random() -> Self {
        Self::new(rand::random())
    }

    pub(super) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.bytes.into())
    }

    fn text(&self) -> String {
        STANDARD.encode(self.bytes)
    }
}

/// The current key and the previous ones. There is always a current one.
#[derive(Clone)]
pub struct Keys {
    /// Seals new values, and opens its own.
    pub current: Key,
    /// Open values that were sealed before; the newest first.
    pub previous: Vec<Key>,
}

impl Keys {
    /// A single key.
    pub fn of(current: Key) -> Self {
        Self {
            current,
            previous: Vec::new(),
        }
    }

    /// Reads keys in base64, separated by white space or commas, the current one first.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys = text
            .split(|character: char| character == ',' || character.is_whitespace())
            .filter(|word| !word.is_empty())
            .enumerate()
            .map(|(index, word)| {
                let bytes = STANDARD.decode(word).ok();
                let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                bytes.map(Key::new).ok_or_else(|| {
                    format!(
                        "key {} must be {KEY_BYTES} bytes in base64, as `openssl rand -base64 \
                         {KEY_BYTES}` makes them",
                        index + 1
                    )
                })
            });
        let current = keys.next().ok_or("there is no key")??;
        let previous = keys.collect::<Result<_, _>>()?;
        Ok(Self { current, previous })
    }

    /// Reads a file of keys. A file of exactly 32 bytes is one key in raw form.
    pub fn read(file: &Path) -> io::Result<Self> {
        let content = fs::read(file)?;
        if let Ok(bytes) = <[u8; KEY_BYTES]>::try_from(content.as_slice()) {
            return Ok(Self::of(Key::new(bytes)));
        }
        let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        let text = String::from_utf8(content)
            .map_err(|_| invalid("it holds neither one key nor lines of base64".to_owned()))?;
        Self::parse(&text).map_err(invalid)
    }

    /// Creates a file of keys that only its owner can access; does nothing if the file exists.
    pub fn make(&self, file: &Path) -> io::Result<()> {
        private::create(file, self.lines().as_bytes()).map(|_| ())
    }

    /// Replaces a file of keys at once and keeps its owner and mode.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        private::replace(file, self.lines().as_bytes())?;
        // Read back, so that nothing is sealed with a key that cannot be read again.
        let read = Self::read(file)?;
        match read.current.id == self.current.id {
            true => Ok(()),
            false => Err(io::Error::other("it holds other keys than were written")),
        }
    }

    /// Returns the content of a file of these keys.
    pub fn lines(&self) -> String {
        self.iter().map(|key| key.text() + "\n").collect()
    }

    /// Returns the keys with another current key; the former one becomes a previous one.
    pub fn with_current(&self, current: Key) -> Self {
        let previous = self.iter().cloned().collect();
        Self { current, previous }
    }

    /// Iterates over all keys, the current one first.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// Returns the key with this id.
    pub fn find(&self, id: KeyId) -> Option<&Key> {
        self.iter().find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_keys_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        let first = Keys::of(Key::random());
        let both = first.with_current(Key::random());
        first.make(&file).unwrap();
        Keys::of(Key::random()).make(&file).unwrap();
        assert_eq!(Keys::read(&file).unwrap().current.id, first.current.id);
        both.write(&file).unwrap();
        let read = Keys::read(&file).unwrap();
        let ids = |keys: &Keys| keys.iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(ids(&read), ids(&both));
        assert_eq!(read.previous[0].bytes, first.current.bytes);
        assert!(read.find(first.current.id).is_some());
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_as_it_is_and_one_in_base64_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        fs::write(&file, [7; KEY_BYTES]).unwrap();
        let raw = Keys::read(&file).unwrap();
        let text = Keys::parse(&STANDARD.encode([7; KEY_BYTES])).unwrap();
        assert_eq!(raw.current.id, text.current.id);
    }

    #[test]
    fn what_is_no_key_is_named_and_not_shown() {
        let good = STANDARD.encode([7; KEY_BYTES]);
        for (text, reason) in [
            ("", "no key"),
            (" , ", "no key"),
            ("c2hvcnQ=", "key 1"),
            (&format!("{good},c2hvcnQ="), "key 2"),
        ] {
            let error = Keys::parse(text).err().unwrap();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("c2hvcnQ="), "{error}");
        }
    }
}
