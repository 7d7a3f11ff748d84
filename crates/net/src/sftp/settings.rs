//! Settings of a server, and the fingerprint that it shows.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use russh::keys::PrivateKey;

/// Settings of a server.
#[derive(Clone)]
pub struct Settings {
    /// Name or address of the server.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// Name of the user.
    pub username: String,
    /// Proof of the user's identity.
    pub login: Login,
    /// Fingerprint that the key of the server must have; without one, no login is attempted.
    pub host_key: Option<String>,
    /// Maximum time for one request.
    pub timeout: Duration,
}

/// Proof of a user's identity.
#[derive(Clone)]
pub enum Login {
    /// Password.
    Password(String),
    /// Private key.
    Key(Arc<PrivateKey>),
}

impl Login {
    /// Reads a private key without a passphrase.
    ///
    /// # Errors
    /// Fails with the broken rule.
    pub fn key(text: &str) -> Result<Self, String> {
        let key = russh::keys::decode_secret_key(text, None);
        let key = key.map_err(|_| {
            "must be a private key of OpenSSH or PEM, without a passphrase".to_owned()
        })?;
        Ok(Self::Key(Arc::new(key)))
    }
}

/// Fingerprint of the key that a server has shown.
#[derive(Clone, Default)]
pub struct SeenKey(Arc<Mutex<Option<String>>>);

impl SeenKey {
    /// Returns the fingerprint, as `SHA256:...`.
    pub fn get(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set(&self, fingerprint: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint);
    }
}
