//! What is handed to the uplink path, and what it answers.

use uuid::Uuid;

/// A message as it came in.
#[derive(Debug)]
pub struct Unread {
    /// The body, or the payload over MQTT.
    pub body: Vec<u8>,
    /// The query parameters, in their order, without the ingest key.
    pub query: Vec<(String, String)>,
    /// The topic, over MQTT.
    pub topic: Option<String>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// It is an uplink of a device.
    Uplink {
        /// The uplink's id.
        uplink_id: Uuid,
        /// The device's id.
        device_id: String,
    },
    /// It is a copy of an uplink that is on disk.
    Duplicate {
        /// The uplink's id.
        uplink_id: Uuid,
        /// The device's id.
        device_id: String,
    },
    /// It is about a device that nobody provisioned; it is kept as an event of the connection.
    UnknownDevice,
    /// It is no uplink; it is kept as an event.
    Other,
    /// The connection is switched off; nothing was kept.
    Disabled,
}

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What became of it.
    pub receipt: Receipt,
    /// The device that waits for a downlink in the answer.
    pub awaits: Option<Asking>,
}

/// A device that asks for a downlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// The type of its network server.
    pub kind: &'static str,
    /// Its id in the network.
    pub network_device_id: String,
}
