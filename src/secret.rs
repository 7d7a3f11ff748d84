//! Secrets: random tokens, their hashes, and the vault that encrypts what must be read again.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

mod credentials;

pub use credentials::{AUTHORIZATION, Claim, Credentials, SealedCredentials};

const NONCE_BYTES: usize = 24;

/// SHA-256 of a token: what is stored in its place.
pub type TokenHash = [u8; 32];

/// A new token: 32 random bytes in padded base64url, and its hash.
pub fn new_token() -> (String, TokenHash) {
    let token = URL_SAFE.encode(rand::random::<[u8; 32]>());
    let hash = hash_token(&token);
    (token, hash)
}

/// What every API key starts with: it tells keys from sessions, and leaked keys from other text.
pub const API_KEY_PREFIX: &str = "thk_";

/// A new API key, and its hash.
pub fn new_api_key() -> (String, TokenHash) {
    let key = format!("{API_KEY_PREFIX}{}", new_token().0);
    let hash = hash_token(&key);
    (key, hash)
}

/// What every signing secret of the Standard Webhooks scheme starts with.
pub const SIGNING_SECRET_PREFIX: &str = "whsec_";

/// A new signing secret of the Standard Webhooks scheme.
pub fn new_signing_secret() -> String {
    let bytes = STANDARD.encode(rand::random::<[u8; 32]>());
    format!("{SIGNING_SECRET_PREFIX}{bytes}")
}

/// The hash under which a token is stored. A token is random in all its bits, so one round of
/// SHA-256 is enough.
pub fn hash_token(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Encrypts secrets at rest with XChaCha20-Poly1305.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

impl Vault {
    /// Reads the key from the file, or makes it there, readable for the owner alone.
    pub fn open(key_file: &Path) -> io::Result<Self> {
        let key = match fs::read(key_file) {
            Ok(key) => key,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = rand::random::<[u8; 32]>();
                let mut file = fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(key_file)?;
                file.write_all(&key)?;
                file.sync_all()?;
                key.to_vec()
            }
            Err(error) => return Err(error),
        };
        let cipher = XChaCha20Poly1305::new_from_slice(&key).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the secret key must have 32 bytes",
            )
        })?;
        Ok(Self { cipher })
    }

    /// Encrypts a secret for one purpose; it opens for that purpose alone.
    pub fn seal(&self, purpose: &str, secret: &str) -> Result<Vec<u8>> {
        let nonce = rand::random::<[u8; NONCE_BYTES]>();
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: purpose.as_bytes(),
        };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let mut out = nonce.to_vec();
        out.extend(sealed.map_err(|_| Error::internal("a secret could not be encrypted"))?);
        Ok(out)
    }

    /// Decrypts what [`Vault::seal`] made for the same purpose.
    pub fn open_secret(&self, purpose: &str, sealed: &[u8]) -> Result<String> {
        let broken = || {
            Error::internal(format!(
                "the secret of {purpose} does not open with this key"
            ))
        };
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(broken)?;
        let payload = Payload {
            msg: sealed,
            aad: purpose.as_bytes(),
        };
        let opened = self
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| broken())?;
        String::from_utf8(opened).map_err(|_| broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_purpose_with_its_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(&folder.path().join("a")).unwrap();
        let sealed = vault.seal("integration", "s3cr3t").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"s3cr3t"));
        let again = Vault::open(&folder.path().join("a")).unwrap();
        assert_eq!(again.open_secret("integration", &sealed).unwrap(), "s3cr3t");
        assert!(again.open_secret("other", &sealed).is_err());
        let other = Vault::open(&folder.path().join("b")).unwrap();
        assert!(other.open_secret("integration", &sealed).is_err());
    }

    #[test]
    fn tokens_are_32_bytes_in_padded_base64url() {
        let (token, hash) = new_token();
        assert_eq!(token.len(), 44);
        assert!(token.ends_with('='));
        assert_eq!(URL_SAFE.decode(&token).unwrap().len(), 32);
        assert_eq!(hash, hash_token(&token));
    }
}
