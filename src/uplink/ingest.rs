//! Step 1: authenticate the sender and parse the message.

use super::{receipt::RawMessage, route::ConnectionRoute, routes::Routes, strangers::WrongKeys};
use crate::{
    error::{Error, Reason, Result},
    id::ConnectionId,
    networks::{Event, Incoming},
    secret,
};
use serde_json::Value;
use std::{net::IpAddr, sync::Arc};

/// Sender of a request.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Ingest key that the sender presented.
    pub key: &'a str,
    /// IP address, if known.
    pub address: Option<IpAddr>,
}

/// One message of a request, which may contain several.
#[derive(Clone, Copy)]
pub struct SingleMessage<'a> {
    /// Body of this message.
    pub body: &'a Value,
    /// The request as received.
    pub around: &'a RawMessage,
}

/// Returns the connection if the ingest key is correct. A wrong key and a missing connection give the
/// same error, and both are logged. A key is never rejected by the cache alone, because another hub may
/// have changed it.
pub async fn authenticate(
    routes: &Routes,
    strangers: &Arc<WrongKeys>,
    id: ConnectionId,
    sender: Sender<'_>,
) -> Result<Arc<ConnectionRoute>> {
    // A timing attack learns nothing useful here, because the hashes of random keys are compared.
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

/// Splits a body into its messages. Returns at least one.
pub fn read(connection: &ConnectionRoute, message: &RawMessage) -> Result<Vec<Value>> {
    // Some senders start with a byte order mark (RFC 8259, 8.1).
    let text = message.body.strip_prefix(b"\xef\xbb\xbf");
    let body: Value = serde_json::from_slice(text.unwrap_or(&message.body)).map_err(|error| {
        Error::of_field(
            Reason::Malformed,
            "body",
            format!("is not valid JSON: {error}"),
        )
    })?;
    // A webhook must send objects, whatever the connection's mapping says.
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
    connection.settings.split(body).map_err(Error::broken)
}

/// Converts a message to the form that is common to all networks.
pub fn normalise(connection: &ConnectionRoute, message: SingleMessage<'_>) -> Result<Event> {
    // Without the stored key, a genuine message cannot be distinguished from a forged one.
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
        .map_err(Error::broken)?;
    let is_storable = |id: &str| !id.contains('\0');
    if event.network_device_id().is_none_or(is_storable) {
        return Ok(event);
    }
    Err(Error::field(
        "network_device_id",
        "must have no NUL character",
    ))
}
