//! Step 1: who posts, and what it says.

use super::{
    networks::Event,
    routes::{ConnectionRoute, Routes},
};
use crate::{
    error::{Error, Result},
    id::ConnectionId,
    secret,
};
use std::sync::Arc;

/// The connection that this key opens. A wrong key and a missing connection look the same.
pub async fn authenticate(
    routes: &Routes,
    id: ConnectionId,
    key: &str,
) -> Result<Arc<ConnectionRoute>> {
    let connection = routes.connection(id).await?.ok_or(Error::Unauthenticated)?;
    // Hashes of random keys: comparing them tells nothing about the key.
    if connection.ingest_key_hash != secret::hash_token(key) {
        return Err(Error::Unauthenticated);
    }
    Ok(connection)
}

/// What the message says, in one form for all networks.
pub fn normalise(connection: &ConnectionRoute, body: &[u8]) -> Result<Event> {
    let body: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| Error::field("body", format!("is not valid JSON: {error}")))?;
    let event = connection
        .settings
        .network()
        .parse(&body)
        .map_err(|broken| Error::Invalid(broken.to_string()))?;
    match &event {
        Event::Uplink(uplink) if uplink.network_device_id.contains('\0') => Err(Error::field(
            "network_device_id",
            "must have no NUL character",
        )),
        _ => Ok(event),
    }
}
