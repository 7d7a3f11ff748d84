//! Step 1: who posts, and what it says.

use super::{receipt::Unread, route::ConnectionRoute, routes::Routes, strangers::Strangers};
use crate::{
    error::{Error, Result},
    id::ConnectionId,
    networks::{Event, Incoming, Malformed},
    secret,
};
use serde_json::Value;
use std::{net::IpAddr, sync::Arc};

/// Who posts.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The ingest key that it shows.
    pub key: &'a str,
    /// Its address, where it is known.
    pub address: Option<IpAddr>,
}

/// One of the messages that came in together.
#[derive(Clone, Copy)]
pub struct One<'a> {
    /// What it says.
    pub body: &'a Value,
    /// What came with it.
    pub around: &'a Unread,
}

/// The connection that this key opens. A wrong key and a missing connection look the same, and both
/// leave a trace. No key is wrong by what was kept ready alone: another hub may have changed it.
pub async fn authenticate(
    routes: &Routes,
    strangers: &Arc<Strangers>,
    id: ConnectionId,
    sender: Sender<'_>,
) -> Result<Arc<ConnectionRoute>> {
    // Hashes of random keys: comparing them tells nothing about the key.
    let hash = secret::hash_token(sender.key);
    let opens = |connection: &Arc<ConnectionRoute>| connection.ingest_key_hash == hash;
    let mut connection = routes.connection(id).await?;
    if let Some(kept) = connection.as_ref().filter(|kept| !opens(kept))
        && !routes.is_current(kept).await?
    {
        connection = routes.connection(id).await?;
    }
    match connection {
        Some(connection) if opens(&connection) => Ok(connection),
        other => {
            strangers.note(id, other.as_deref(), sender.address);
            Err(Error::WrongIngestKey)
        }
    }
}

/// The messages that a body holds, at least one.
pub fn read(connection: &ConnectionRoute, message: &Unread) -> Result<Vec<Value>> {
    // Some put a byte order mark before it (RFC 8259, 8.1).
    let text = message.body.strip_prefix(b"\xef\xbb\xbf");
    let body: Value = serde_json::from_slice(text.unwrap_or(&message.body))
        .map_err(|error| Error::field("body", format!("is not valid JSON: {error}")))?;
    // Nothing else is a message of a webhook, whatever the connection's mapping says.
    let is_message = match &body {
        _ if message.topic.is_some() => true,
        Value::Object(_) => true,
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_object),
        _ => false,
    };
    if !is_message {
        let rule = "must be a JSON object, or a list of objects";
        return Err(Error::field("body", rule));
    }
    connection.settings.split(body).map_err(broken)
}

/// What a message says, in one form for all networks.
pub fn normalise(connection: &ConnectionRoute, message: One<'_>) -> Result<Event> {
    // Without its key a message cannot be told from a forged one.
    let credentials = match &connection.credentials {
        Ok(credentials) => credentials.as_ref(),
        Err(error) if connection.settings.checks_messages() => return Err(error.echo()),
        Err(_) => None,
    };
    let event = connection
        .settings
        .parse(Incoming {
            body: message.body,
            query: &message.around.query,
            topic: message.around.topic.as_deref(),
            credentials,
        })
        .map_err(broken)?;
    let is_storable = |id: &str| !id.contains('\0');
    if event.network_device_id().is_none_or(is_storable) {
        return Ok(event);
    }
    Err(Error::field(
        "network_device_id",
        "must have no NUL character",
    ))
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over a result")]
fn broken(rule: Malformed) -> Error {
    Error::Invalid(rule.to_string())
}
