//! One device of a file: the body of `POST /devices`, whatever it was written in.

use serde_json::Value;

use crate::{
    api::{devices::body::NewDeviceBody, http::body},
    id::new_uuid,
    store::devices::NewDevice,
    text::DeviceId,
};

/// A device that was read, or why it cannot be.
pub type Read = Result<NewDevice, Unreadable>;

/// A row of which no device can be made.
pub struct Unreadable {
    /// The id that the device would have, where it can be told.
    pub device_id: Option<String>,
    /// The rule that the row breaks.
    pub error: String,
}

impl Unreadable {
    /// A row that does not even tell the id.
    pub fn nameless(error: String) -> Self {
        Self {
            device_id: None,
            error,
        }
    }
}

/// Reads what would be the body of `POST /devices`.
pub fn read_value(value: Value) -> Read {
    let id = value["id"].as_str();
    let id = id
        .and_then(|id| DeviceId::new(id).ok())
        .map(DeviceId::into_string);
    body::from_value::<NewDeviceBody>(value)
        .map(NewDeviceBody::provisioned)
        .map(|device| match device.id.is_empty() {
            // Now, so that a row that is done again is the same device.
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
