//! Sigfox: a device asks for a downlink with a message, and the answer to the callback holds it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// There is nothing to set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigfox {}

impl Sigfox {
    /// As long as every downlink is.
    pub const BYTES: usize = 8;

    /// What the answer to the callback says where there is nothing for the device.
    pub fn nothing(network_device_id: &str) -> Value {
        json!({network_device_id: {"noData": true}})
    }

    /// What the answer to the callback says.
    pub fn answer(network_device_id: &str, payload: &[u8]) -> Value {
        json!({network_device_id: {"downlinkData": hex::encode(payload)}})
    }
}
