//! Network connections as they are read.

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

/// What a client provisions.
#[derive(Debug, Clone, Serialize)]
pub struct NewConnection {
    /// Unique in the tenant.
    pub name: String,
    /// Which network server it is.
    pub kind: String,
    /// What its adapter needs to know.
    pub settings: Value,
    /// Whether it takes messages.
    pub enabled: bool,
    /// Which unknown senders become devices, where any do.
    pub auto_provisioning: Option<Value>,
    /// Sealed credentials.
    #[serde(skip)]
    pub secret: Option<Vec<u8>>,
}

impl NewConnection {
    /// What its row stores of secrets, and of where they are sent.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            settings: &self.settings,
            secret: self.secret.as_deref(),
        }
    }
}

/// A network connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// What was provisioned.
    pub provisioned: NewConnection,
    /// SHA-256 of the key that opens its ingest.
    pub ingest_key_hash: Vec<u8>,
    /// What came in.
    pub health: Health,
    /// Grows with every change by a client.
    pub revision: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
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
