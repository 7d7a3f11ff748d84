//! Stream keys: they open live streams where no header can be sent, as in a browser's `EventSource`.
//!
//! A key stands in a URL, which others log and keep. So it opens nothing but streams, for a short time, and it has the
//! permissions of the session or API key that made it, as long as that is valid.

use chrono::TimeDelta;

use super::caller::{Caller, Identity};
use crate::{
    clock::Time,
    error::{Error, Result},
    hub::Hub,
    secret,
    store::access::stream_keys::{self, Credential},
};

/// Time for which a key opens streams.
const VALID_FOR: TimeDelta = TimeDelta::minutes(10);

/// A new key.
pub struct StreamKey {
    /// The key itself.
    pub key: String,
    /// Time from which it opens no more streams.
    pub expires_at: Time,
}

impl Hub {
    /// Creates a key on behalf of a caller and the credential that it has sent.
    pub async fn create_stream_key(&self, caller: &Caller, owner: Credential) -> Result<StreamKey> {
        let scope = &caller.scope;
        let owner_ends = match &caller.identity {
            Identity::User { expires_at, .. } => Some(*expires_at),
            Identity::Key(key) => key.made.expires_at,
        };
        let ends = scope.now() + VALID_FOR;
        let expires_at = owner_ends.map_or(ends, |owner_ends| owner_ends.min(ends));
        let (key, key_hash) = secret::new_token();
        stream_keys::insert(scope, &key_hash, owner, expires_at).await?;
        Ok(StreamKey { key, expires_at })
    }

    /// Returns the credential on whose behalf a key opens streams.
    pub async fn owner_of_stream_key(&self, key: &str) -> Result<Credential> {
        let found = self.store.find_stream_key(&secret::hash_token(key)).await?;
        found.ok_or(Error::Unauthenticated)
    }
}
