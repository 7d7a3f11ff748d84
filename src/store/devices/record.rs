//! Devices as they are read: what people provision, and what the device last said.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    clock::Time,
    error::{Error, Result},
    id::DeviceKey,
    store::{
        core::json::members,
        devices::frames::Frames,
        entities::{device, device_state},
    },
};

/// The resource's name in paths.
pub(in crate::store) const RESOURCE: &str = "devices";

/// What a client provisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewDevice {
    /// Unique in the tenant.
    pub id: String,
    /// Unique in the tenant unless empty.
    pub name: String,
    /// For people.
    pub description: String,
    /// `author/name:tag`; nothing is decoded without one.
    pub driver: Option<String>,
    /// For selectors.
    pub labels: Vec<String>,
    /// For the client's own use.
    pub metadata: Map<String, Value>,
    /// Where its messages come from.
    pub connections: Vec<Address>,
}

/// A device's address in a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// The network connection.
    pub network_connection_id: i64,
    /// The device's id there, such as the DevEUI.
    pub network_device_id: String,
}

/// A device.
#[derive(Debug, Clone)]
pub struct Device {
    /// For references inside the hub.
    pub key: DeviceKey,
    /// What was provisioned.
    pub provisioned: NewDevice,
    /// What it last said.
    pub state: State,
    /// Grows with every change by a client.
    pub revision: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed by a client.
    pub updated_at: Time,
}

/// What a device last said, and what it should be told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The decoded fields, merged uplink by uplink.
    pub reported: Map<String, Value>,
    /// What a client wants it to be.
    pub desired: Map<String, Value>,
    /// When it last sent something.
    pub received_at: Option<Time>,
    /// The payload it last sent.
    pub raw: Option<Vec<u8>>,
    /// Whether its driver could make nothing of that.
    pub is_failing: bool,
    /// Its last frames.
    pub frames: Frames,
    /// When the newest of the frames that this is made of was received.
    pub newest_at: Option<Time>,
}

impl TryFrom<(device::Model, Option<device_state::Model>)> for Device {
    type Error = Error;

    fn try_from((model, state): (device::Model, Option<device_state::Model>)) -> Result<Self> {
        let device::Model {
            tenant_id: _,
            id,
            created_at,
            updated_at,
            revision,
            device_id,
            name,
            description,
            driver,
            metadata,
            labels,
            connections,
        } = model;
        Ok(Self {
            key: DeviceKey(id),
            provisioned: NewDevice {
                id: device_id,
                name: name.unwrap_or_default(),
                description,
                driver,
                labels: serde_json::from_value(labels).map_err(Error::internal)?,
                metadata: members(metadata),
                connections: serde_json::from_value(connections).map_err(Error::internal)?,
            },
            state: state.map(State::from).unwrap_or_default(),
            revision,
            created_at,
            updated_at,
        })
    }
}

impl From<device_state::Model> for State {
    fn from(model: device_state::Model) -> Self {
        let device_state::Model {
            tenant_id: _,
            device_key: _,
            reported,
            desired,
            received_at,
            raw,
            is_failing,
            frames,
            newest_at,
        } = model;
        Self {
            reported: members(reported),
            desired: members(desired),
            received_at,
            raw,
            is_failing,
            frames: Frames::read(frames),
            newest_at,
        }
    }
}
