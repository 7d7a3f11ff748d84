//! Devices in requests.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::{
    api::http::types::{Id, JsonObject, LABELS_MAX, List},
    reference::DriverReference,
    store::devices::{Address, NewDevice},
    text::{Description, DeviceId, DeviceLabel, DeviceName, NetworkDeviceId},
};

/// Device to create.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewDevice")]
pub struct NewDeviceBody {
    /// Identifier of the device, unique in the tenant and case-sensitive. `import`, `export` and `bulk` are not
    /// allowed. Null or absent: the hub generates a UUID.
    pub id: Option<DeviceId>,
    /// Name of the device for people. Unique in the tenant unless empty. Null or absent: empty.
    pub name: Option<DeviceName>,
    /// Description of the device. Null or absent: empty.
    pub description: Option<Description>,
    /// Reference to the driver that decodes the device's uplinks. `author/name:tag` uses the version that the tag
    /// points at, also after the tag was moved; `author/name` does the same for the tag `latest`;
    /// `author/name@sha256:...` always uses this version. Author, name and tag consist of ASCII letters, digits, dots,
    /// dashes and underscores, with a letter or digit at both ends. The driver must exist. Null or absent: uplinks are
    /// stored without being decoded.
    pub driver: Option<DriverReference>,
    /// Labels of the device, which selectors match.
    #[oai(default)]
    #[serde(default)]
    pub labels: List<DeviceLabel, 0, LABELS_MAX>,
    /// Data for your own use, nested at most 16 levels deep and without NUL characters. Null or absent: an empty
    /// object.
    pub metadata: Option<JsonObject>,
    /// Addresses of the device in the networks that deliver its messages. Null or absent: none.
    pub connectivity: Option<Connectivity>,
}

/// New configuration of a device.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceUpdate {
    /// Name of the device for people. Unique in the tenant unless empty. Null or absent: empty.
    name: Option<DeviceName>,
    /// Description of the device. Null or absent: empty.
    description: Option<Description>,
    /// Reference to the driver that decodes the device's uplinks. `author/name:tag` uses the version that the tag
    /// points at, also after the tag was moved; `author/name` does the same for the tag `latest`;
    /// `author/name@sha256:...` always uses this version. Author, name and tag consist of ASCII letters, digits, dots,
    /// dashes and underscores, with a letter or digit at both ends. The driver must exist. Null or absent: uplinks are
    /// stored without being decoded.
    driver: Option<DriverReference>,
    /// Labels of the device, which selectors match.
    #[oai(default)]
    #[serde(default)]
    labels: List<DeviceLabel, 0, LABELS_MAX>,
    /// Data for your own use, nested at most 16 levels deep and without NUL characters. Null or absent: an empty
    /// object.
    metadata: Option<JsonObject>,
    /// Addresses of the device in the networks that deliver its messages. Null or absent: none.
    connectivity: Option<Connectivity>,
}

/// Addresses of a device in the networks that deliver its messages.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connectivity {
    /// Addresses of the device.
    connections: List<AddressBody, 0, 16>,
}

/// Address of a device in a network.
#[derive(Object, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "DeviceConnection")]
pub struct AddressBody {
    /// Identifier of the network connection, which must exist.
    network_connection_id: Id,
    /// Identifier of the device in this network. For LoRaWAN network servers, a DevEUI of 16 hexadecimal digits in any
    /// case, optionally with `-` or `:` between its bytes; it is stored in upper case without separators. For Sigfox, 1
    /// to 8 hexadecimal digits in upper case without leading zeros.
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
