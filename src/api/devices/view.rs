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

/// Device with its state and its last message.
#[derive(Object, Serialize)]
#[oai(rename = "Device")]
pub struct DeviceView {
    /// Identifier of the device, unique in the tenant.
    id: String,
    /// Name of the device for people. May be empty.
    name: String,
    /// Description of the device. May be empty.
    description: String,
    /// Reference to the driver that decodes the device's uplinks. Null if there is none.
    driver: Option<String>,
    /// Labels of the device, which selectors match.
    labels: Vec<String>,
    /// Data for your own use.
    metadata: JsonObject,
    /// Addresses of the device in the networks that deliver its messages.
    connectivity: ConnectivityView,
    /// Reported and desired state of the device.
    state: StateView,
    /// Health of the device: `failing` if the driver failed on the last uplink with data, `never_seen` before the first
    /// message, otherwise `ok`.
    health: HealthStateView,
    /// Last message of the device. Null before the first message.
    last_data_received: Option<LastDataView>,
    /// Revision of the device, which grows with every change by a client. The `ETag` header contains it.
    revision: Count,
    /// Time at which the device was created.
    created_at: Timestamp,
    /// Time at which a client last changed the device.
    updated_at: Timestamp,
}

/// Addresses of a device in the networks that deliver its messages.
#[derive(Object, Serialize)]
#[oai(rename = "DeviceConnectivity")]
struct ConnectivityView {
    /// Addresses of the device.
    connections: Vec<AddressView>,
}

/// Address of a device in a network.
#[derive(Object, Serialize)]
#[oai(rename = "DeviceAddress")]
struct AddressView {
    /// Identifier of the network connection.
    network_connection_id: Id,
    /// Identifier of the device in this network.
    network_device_id: String,
}

/// Reported and desired state of a device.
#[derive(Object, Serialize)]
#[oai(rename = "DeviceState")]
struct StateView {
    /// Latest value of each decoded field, merged from the device's uplinks; includes the state that a stateful driver
    /// keeps. An uplink that arrives late does not replace newer values. Empty before the first decoded uplink.
    reported: JsonObject,
    /// Desired state that a client has set. Empty if none is set.
    desired: JsonObject,
}

/// Last message of a device.
#[derive(Object, Serialize)]
#[oai(rename = "LastDataReceived")]
struct LastDataView {
    /// Time at which the hub received the message.
    received_at: Timestamp,
    /// Payload in hexadecimal digits. Null if the network server passed none on.
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
