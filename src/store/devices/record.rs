//! Types of devices: their configuration, and their last state.

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

/// Name of the resource in paths.
pub(in crate::store) const RESOURCE: &str = "devices";

/// Configuration of a device, as clients provide it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewDevice {
    /// Identifier, unique in the tenant.
    pub id: String,
    /// Name, unique in the tenant unless empty.
    pub name: String,
    /// Description for people.
    pub description: String,
    /// Driver as `author/name:tag`; without one, messages are not decoded.
    pub driver: Option<String>,
    /// Labels, which selectors match.
    pub labels: Vec<String>,
    /// Data for the client's own use.
    pub metadata: Map<String, Value>,
    /// Addresses from which the device's messages arrive.
    pub connections: Vec<Address>,
}

/// Address of a device in a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// Network connection.
    pub network_connection_id: i64,
    /// Identifier of the device in the network, such as the DevEUI.
    pub network_device_id: String,
}

/// Device of a tenant.
#[derive(Debug, Clone)]
pub struct Device {
    /// Key for references inside the hub.
    pub key: DeviceKey,
    /// Configuration, as the client provided it.
    pub provisioned: NewDevice,
    /// Last state.
    pub state: State,
    /// Revision, which grows with every change by a client.
    pub revision: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last change by a client.
    pub updated_at: Time,
}

/// State of a device: last reported, and desired.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Decoded fields, merged uplink by uplink.
    pub reported: Map<String, Value>,
    /// State that a client wants the device to have.
    pub desired: Map<String, Value>,
    /// Time of the last message; `None` if there was none.
    pub received_at: Option<Time>,
    /// Payload of the last message.
    pub raw: Option<Vec<u8>>,
    /// True if the driver could not decode the last message.
    pub is_failing: bool,
    /// Recent frames, for the detection of copies.
    pub frames: Frames,
    /// Time at which the newest frame merged into this state was received.
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
