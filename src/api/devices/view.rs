//! Devices in responses.

use poem_openapi::Object;
use serde::Serialize;

use crate::{
    api::http::{
        answer::Revised,
        health_state::HealthStateView,
        types::{Count, Id, JsonObject, Timestamp},
    },
    store::devices::{Device, NewDevice},
};

/// A device
#[derive(Object, Serialize)]
#[oai(rename = "Device")]
pub struct DeviceView {
    /// Unique in the tenant
    id: String,
    /// For people; may be empty
    name: String,
    /// What it is for
    description: String,
    /// The driver that decodes its uplinks
    driver: Option<String>,
    /// What selectors pick it by
    labels: Vec<String>,
    /// For your own use
    metadata: JsonObject,
    /// Where its messages come from
    connectivity: ConnectivityView,
    /// What it last said, and what it should be
    state: StateView,
    /// `failing` when its driver could make nothing of its last uplink, else `ok`; `never_seen` before the
    /// first
    health: HealthStateView,
    /// Its last message; null before the first
    last_data_received: Option<LastDataView>,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When it was made
    created_at: Timestamp,
    /// When it was last changed by a client
    updated_at: Timestamp,
}

/// Where a device's messages come from
#[derive(Object, Serialize)]
#[oai(rename = "DeviceConnectivity")]
struct ConnectivityView {
    /// Its addresses
    connections: Vec<AddressView>,
}

/// A device's address in a network
#[derive(Object, Serialize)]
#[oai(rename = "DeviceAddress")]
struct AddressView {
    /// The network connection
    network_connection_id: Id,
    /// The device's id there
    network_device_id: String,
}

/// A device's state
#[derive(Object, Serialize)]
#[oai(rename = "DeviceState")]
struct StateView {
    /// The decoded fields, merged uplink by uplink; empty until the first
    reported: JsonObject,
    /// What it should be
    desired: JsonObject,
}

/// A device's last message
#[derive(Object, Serialize)]
#[oai(rename = "LastDataReceived")]
struct LastDataView {
    /// When the hub received it
    received_at: Timestamp,
    /// Its payload in hexadecimal digits; null if it had none that the network passed on
    raw: Option<String>,
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        let Device {
            key: _,
            provisioned,
            state,
            revision,
            created_at,
            updated_at,
        } = device;
        let NewDevice {
            id,
            name,
            description,
            driver,
            labels,
            metadata,
            connections,
        } = provisioned;
        Self {
            id,
            name,
            description,
            driver,
            labels,
            metadata: JsonObject(metadata),
            connectivity: ConnectivityView {
                connections: connections
                    .into_iter()
                    .map(|address| AddressView {
                        network_connection_id: Id::saturating(address.network_connection_id),
                        network_device_id: address.network_device_id,
                    })
                    .collect(),
            },
            health: state.health().into(),
            last_data_received: state.received_at.map(|received_at| LastDataView {
                received_at: Timestamp(received_at),
                raw: state.raw.map(hex::encode),
            }),
            state: StateView {
                reported: JsonObject(state.reported),
                desired: JsonObject(state.desired),
            },
            revision: Count::saturating(revision),
            created_at: Timestamp(created_at),
            updated_at: Timestamp(updated_at),
        }
    }
}

impl Revised for DeviceView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
