//! What the uplink path knows of a connection and of a device.

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

/// A network connection, ready to read messages.
pub struct ConnectionRoute {
    pub id: ConnectionId,
    pub scope: Scope,
    /// The tenant's epoch at which it was read.
    pub epoch: u64,
    pub enabled: bool,
    pub settings: NetworkSettings,
    pub ingest_key_hash: Vec<u8>,
    /// Its secrets, where it has any; an error where they do not open.
    pub credentials: Result<Option<Credentials>>,
    /// Which unknown senders become devices.
    pub auto_provisioning: Option<Rule>,
}

/// A device, with all that follows from one of its uplinks.
pub struct DeviceRoute {
    pub key: DeviceKey,
    pub device: Device,
    pub connection_names: Vec<(i64, String)>,
    pub driver: DriverRoute,
    pub tables: Vec<TableRoute>,
    pub integrations: Vec<Recipient>,
}

/// A data table that keeps the device's data.
#[derive(Clone)]
pub struct TableRoute {
    pub id: DataTableId,
    /// `None`: every field.
    pub columns: Option<Vec<Column>>,
}

/// One column of a data table, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Path of the decoded field, its parts joined by dots.
    pub path: String,
    /// What the field must be to be kept.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Its unit, for people.
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
