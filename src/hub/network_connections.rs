//! Network connections: a way in for a network server, with a key of its own.

use super::Hub;
use crate::{
    error::{Error, Result},
    id::ConnectionId,
    secret,
    store::{
        Scope,
        network_connections::{self, Connection, NewConnection},
    },
    uplink::networks::NetworkSettings,
};

/// Checks what the settings can tell by themselves.
pub fn check(settings: &NetworkSettings) -> Result<()> {
    settings
        .check()
        .map_err(|broken| Error::field("settings", broken))
}

impl Hub {
    /// Adds a connection; the second value is its ingest key, which is shown once.
    pub async fn create_connection(
        &self,
        scope: &Scope,
        new: NewConnection,
    ) -> Result<(Connection, String)> {
        let (key, hash) = secret::new_token();
        Ok((network_connections::insert(scope, new, &hash).await?, key))
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
