//! Devices in requests.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::{
    api::http::types::{Id, JsonObject, LABELS_MAX, List},
    reference::DriverReference,
    store::devices::{Address, NewDevice},
    text::{Description, DeviceId, DeviceLabel, DeviceName, NetworkDeviceId},
};

/// A device to make
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewDevice")]
pub struct NewDeviceBody {
    /// Unique in the tenant, case-sensitive; the hub makes one up when it is left out
    pub id: Option<DeviceId>,
    /// For people; unique in the tenant unless empty
    pub name: Option<DeviceName>,
    /// What it is for
    pub description: Option<Description>,
    /// The driver that decodes its uplinks: `author/name:tag` follows the tag wherever it moves, `author/name` follows `latest`, `author/name@sha256:...` stays with one version
    pub driver: Option<DriverReference>,
    /// What selectors pick it by
    #[oai(default)]
    #[serde(default)]
    pub labels: List<DeviceLabel, 0, LABELS_MAX>,
    /// For your own use
    pub metadata: Option<JsonObject>,
    /// Where its messages come from
    pub connectivity: Option<Connectivity>,
}

/// What takes the place of a device
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceUpdate {
    /// For people; unique in the tenant unless empty
    name: Option<DeviceName>,
    /// What it is for
    description: Option<Description>,
    /// The driver that decodes its uplinks: `author/name:tag`, `author/name` for `latest`, or `author/name@sha256:...`
    driver: Option<DriverReference>,
    /// What selectors pick it by
    #[oai(default)]
    #[serde(default)]
    labels: List<DeviceLabel, 0, LABELS_MAX>,
    /// For your own use
    metadata: Option<JsonObject>,
    /// Where its messages come from
    connectivity: Option<Connectivity>,
}

/// Where a device's messages come from
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connectivity {
    /// Its addresses
    connections: List<AddressBody, 0, 16>,
}

/// A device's address in a network
#[derive(Object, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "DeviceConnection")]
pub struct AddressBody {
    /// The network connection
    network_connection_id: Id,
    /// The device's id there, such as its DevEUI (whose case does not matter)
    network_device_id: NetworkDeviceId,
}

impl NewDeviceBody {
    /// Converts the body to the store's form; the id is empty if the hub is to create one.
    pub fn provisioned(self) -> NewDevice {
        let connections = self
            .connectivity
            .map(|connectivity| connectivity.connections.0)
            .unwrap_or_default();
        NewDevice {
            id: self.id.map(DeviceId::into_string).unwrap_or_default(),
            name: self.name.map(DeviceName::into_string).unwrap_or_default(),
            description: self
                .description
                .map(Description::into_string)
                .unwrap_or_default(),
            driver: self.driver.map(DriverReference::into_string),
            labels: self
                .labels
                .0
                .into_iter()
                .map(DeviceLabel::into_string)
                .collect(),
            metadata: self.metadata.unwrap_or_default().0,
            connections: connections.into_iter().map(Address::from).collect(),
        }
    }
}

impl DeviceUpdate {
    /// Returns the complete device with its id.
    pub fn of(self, id: DeviceId) -> NewDeviceBody {
        NewDeviceBody {
            id: Some(id),
            name: self.name,
            description: self.description,
            driver: self.driver,
            labels: self.labels,
            metadata: self.metadata,
            connectivity: self.connectivity,
        }
    }
}

impl From<AddressBody> for Address {
    fn from(address: AddressBody) -> Self {
        Self {
            network_connection_id: *address.network_connection_id,
            network_device_id: address.network_device_id.into_string(),
        }
    }
}
