//! Cached view of connections and devices in the uplink path.

use serde::{Deserialize, Serialize};

use super::auto_provisioning::Rule;
use crate::{
    codec::version::DriverRoute,
    error::Result,
    id::{ConnectionId, DataTableId, DeviceKey},
    networks::NetworkSettings,
    secret::Credentials,
    store::{Scope, deliveries::enqueue::Recipient, devices::Device},
};

/// A network connection, prepared for reading messages.
pub struct ConnectionRoute {
    pub id: ConnectionId,
    pub scope: Scope,
    /// Epoch of the tenant at which the connection was read.
    pub epoch: u64,
    pub enabled: bool,
    pub settings: NetworkSettings,
    pub ingest_key_hash: Vec<u8>,
    /// Credentials, if there are any; an error if they cannot be decrypted.
    pub credentials: Result<Option<Credentials>>,
    /// Rule for creating devices for unknown senders.
    pub auto_provisioning: Option<Rule>,
}

/// A device with everything needed to process its uplinks.
pub struct DeviceRoute {
    pub key: DeviceKey,
    pub device: Device,
    pub connection_names: Vec<(i64, String)>,
    pub driver: DriverRoute,
    pub tables: Vec<TableRoute>,
    pub integrations: Vec<Recipient>,
}

/// A data table that stores the device's data.
#[derive(Clone)]
pub struct TableRoute {
    pub id: DataTableId,
    /// Columns to store; `None` stores every field.
    pub columns: Option<Vec<Column>>,
}

/// One column of a data table, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Path of the decoded field, its parts joined by dots.
    pub path: String,
    /// Required type of the field; others are not stored.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Unit for display.
    pub unit: Option<String>,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Number,
    Text,
    Boolean,
    Json,
}
