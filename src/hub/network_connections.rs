//! Network connections: a way in for a network server, with a key of its own.

use super::Hub;
use crate::{
    error::{Error, Result},
    id::ConnectionId,
    secret::{self, Claim, SealedCredentials},
    store::{
        Scope,
        network_connections::{self, Connection, NewConnection},
    },
    uplink::{VAULT_PURPOSE, networks::NetworkSettings},
};

/// Checks what the settings can tell by themselves.
pub fn check(settings: &NetworkSettings) -> Result<()> {
    settings
        .check()
        .map_err(|broken| Error::field("settings", broken))
}

impl Hub {
    /// Adds a connection; `claims` are the secrets that its network server asks for. The second value
    /// is its ingest key, which is shown once.
    pub async fn create_connection(
        &self,
        scope: &Scope,
        mut new: NewConnection,
        claims: &[Claim],
    ) -> Result<(Connection, String)> {
        new.secret = self.seal_for_connection(claims, None)?;
        let (key, hash) = secret::new_token();
        Ok((network_connections::insert(scope, new, &hash).await?, key))
    }

    /// Replaces a connection. A secret that is claimed and not given stays as it was, while the type
    /// of the network server does.
    pub async fn update_connection(
        &self,
        scope: &Scope,
        id: ConnectionId,
        new: NewConnection,
        claims: &[Claim],
    ) -> Result<Connection> {
        let kind = new.kind.clone();
        let seal = |before: &NewConnection| {
            let is_same = before.kind == kind;
            self.seal_for_connection(claims, before.secret.as_deref().filter(|_| is_same))
        };
        network_connections::update(scope, id, new, seal).await
    }

    fn seal_for_connection(&self, claims: &[Claim], old: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let old = SealedCredentials::read(old);
        let sealed = self.vault.seal_claims(VAULT_PURPOSE, claims, &old)?;
        Ok(sealed.write())
    }

    /// Gives a connection a new ingest key; the old one is dead at once.
    pub async fn renew_ingest_key(
        &self,
        scope: &Scope,
        id: ConnectionId,
    ) -> Result<(Connection, String)> {
        let (key, hash) = secret::new_token();
        Ok((
            network_connections::set_ingest_key(scope, id, &hash).await?,
            key,
        ))
    }
}
