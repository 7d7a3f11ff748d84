//! Input and result types of the uplink path.

use uuid::Uuid;

/// A message as received.
#[derive(Debug)]
pub struct RawMessage {
    /// Request body, or MQTT payload.
    pub body: Vec<u8>,
    /// Query parameters in their order, without the ingest key.
    pub query: Vec<(String, String)>,
    /// MQTT topic; `None` for HTTP.
    pub topic: Option<String>,
}

/// Result of processing a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// An uplink of a device.
    Uplink {
        /// The uplink's id.
        uplink_id: Uuid,
        /// The device's id.
        device_id: String,
    },
    /// A copy of a stored uplink.
    Duplicate {
        /// The uplink's id.
        uplink_id: Uuid,
        /// The device's id.
        device_id: String,
    },
    /// A message of an unknown device, stored as an event of the connection.
    UnknownDevice,
    /// A message other than an uplink, stored as an event.
    Other,
    /// The connection is disabled; nothing was stored.
    Disabled,
}

/// A message that was processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Result of processing the message.
    pub receipt: Receipt,
    /// Device that waits for a downlink in the response.
    pub awaits: Option<DownlinkRequest>,
}

/// A device that requests a downlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownlinkRequest {
    /// Type of its network server.
    pub kind: &'static str,
    /// Id of the device in the network.
    pub network_device_id: String,
}
