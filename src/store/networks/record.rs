//! Types of network connections.

use serde::Serialize;
use serde_json::Value;

use crate::{
    clock::Time,
    id::ConnectionId,
    secret::Stored,
    store::{
        entities::{connection_health, network_connection},
        networks::health::Health,
    },
};

/// Configuration of a network connection, as clients provide it.
#[derive(Debug, Clone, Serialize)]
pub struct NewConnection {
    /// Name, unique in the tenant.
    pub name: String,
    /// Type of the network server.
    pub kind: String,
    /// Settings for the adapter of this type.
    pub settings: Value,
    /// True if the connection accepts messages.
    pub enabled: bool,
    /// Rule for provisioning unknown devices automatically; `None` to provision none.
    pub auto_provisioning: Option<Value>,
    /// Sealed credentials.
    #[serde(skip)]
    pub secret: Option<Vec<u8>>,
}

impl NewConnection {
    /// Returns the stored credentials and the settings that determine where they are sent.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            settings: &self.settings,
            secret: self.secret.as_deref(),
        }
    }
}

/// Network connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Identifier of the connection.
    pub id: ConnectionId,
    /// Configuration, as the client provided it.
    pub provisioned: NewConnection,
    /// SHA-256 of the ingest key.
    pub ingest_key_hash: Vec<u8>,
    /// Health of the connection.
    pub health: Health,
    /// Revision, which grows with every change by a client.
    pub revision: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last change.
    pub updated_at: Time,
}

impl From<(network_connection::Model, Option<connection_health::Model>)> for Connection {
    fn from(
        (model, health): (network_connection::Model, Option<connection_health::Model>),
    ) -> Self {
        let network_connection::Model {
            tenant_id: _,
            id,
            created_at,
            updated_at,
            revision,
            name,
            kind,
            settings,
            enabled,
            ingest_key_hash,
            secret,
            auto_provisioning,
        } = model;
        Self {
            id: ConnectionId(id),
            provisioned: NewConnection {
                name,
                kind,
                settings,
                enabled,
                auto_provisioning,
                secret,
            },
            ingest_key_hash,
            health: health.map(Health::from).unwrap_or_default(),
            revision,
            created_at,
            updated_at,
        }
    }
}
