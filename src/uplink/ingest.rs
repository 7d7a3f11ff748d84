//! Step 1: who posts, and what it says.

use super::{
    Unread,
    networks::{Event, Incoming},
    routes::{ConnectionRoute, Routes},
};
use crate::{
    error::{Error, Result},
    id::ConnectionId,
    secret,
};
use serde_json::Value;
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

/// What the message says, in one form for all networks, and its body as it came.
pub fn normalise(connection: &ConnectionRoute, message: &Unread) -> Result<(Event, Value)> {
    // Some put a byte order mark before it (RFC 8259, 8.1).
    let text = message.body.strip_prefix(b"\xef\xbb\xbf");
    let body: Value = serde_json::from_slice(text.unwrap_or(&message.body))
        .map_err(|error| Error::field("body", format!("is not valid JSON: {error}")))?;
    let event = connection
        .settings
        .network()
        .parse(Incoming {
            body: &body,
            query: &message.query,
            topic: message.topic.as_deref(),
            credentials: connection.credentials.as_ref(),
        })
        .map_err(|broken| Error::Invalid(broken.to_string()))?;
    let is_storable = |id: &str| !id.contains('\0');
    if event.network_device_id().is_none_or(is_storable) {
        return Ok((event, body));
    }
    Err(Error::field(
        "network_device_id",
        "must have no NUL character",
    ))
}
