//! One device of an imported file, in the form of a body of `POST /devices`.

use serde_json::Value;

use crate::{
    api::{devices::body::NewDeviceBody, http::json},
    id::new_uuid,
    store::devices::NewDevice,
    text::DeviceId,
};

/// A device that was read, or the reason why it cannot be.
pub type Read = Result<NewDevice, Unreadable>;

/// A row that does not describe a valid device.
pub struct Unreadable {
    /// Id of the device, if the row contains a valid one.
    pub device_id: Option<String>,
    /// Rule that the row breaks.
    pub error: String,
}

impl Unreadable {
    /// Returns the failure of a row without a valid id.
    pub fn nameless(error: String) -> Self {
        Self {
            device_id: None,
            error,
        }
    }
}

/// Converts a body of `POST /devices` to a device.
pub fn read_value(value: Value) -> Read {
    let id = value["id"].as_str();
    let id = id
        .and_then(|id| DeviceId::new(id).ok())
        .map(DeviceId::into_string);
    json::from_value::<NewDeviceBody>(value)
        .map(NewDeviceBody::provisioned)
        .map(|device| match device.id.is_empty() {
            // The id is created now, so that a row that is processed twice yields the same device.
            true => NewDevice {
                id: new_uuid().to_string(),
                ..device
            },
            false => device,
        })
        .map_err(|error| Unreadable {
            device_id: id,
            error: error.to_string(),
        })
}
