//! Events that an integration forwards, and its delivery policy.

use serde::{Deserialize, Serialize};

use crate::store::core::words::words;

/// Type of event that an integration may forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// Uplinks with decoded data.
    Data,
    /// Uplinks as received.
    Raw,
    /// Devices that have joined their network.
    Join,
    /// Results of downlinks.
    Downlink,
    /// Battery and margin, as reported by the network.
    Status,
    /// Location of a device, as reported by the network.
    Location,
    /// Driver failures and network errors.
    Error,
}

words!(EventType {
    Data = "data",
    Raw = "raw",
    Join = "join",
    Downlink = "downlink",
    Status = "status",
    Location = "location",
    Error = "error",
});

impl EventType {
    /// Returns the type of an event of this kind (see [`crate::store::live::events::Event`]); `None` if integrations
    /// do not forward it.
    pub fn of_event(kind: &str) -> Option<Self> {
        match kind {
            "join" => Some(EventType::Join),
            "status" => Some(EventType::Status),
            "location" => Some(EventType::Location),
            "driver_failed" | "network_error" => Some(EventType::Error),
            kind if kind.starts_with("downlink_") => Some(EventType::Downlink),
            _ => None,
        }
    }

    /// True if the type is about uplinks rather than events.
    pub fn is_uplink(self) -> bool {
        matches!(self, EventType::Data | EventType::Raw)
    }
}

/// Delivery policy of an integration; the hub's settings apply where a field is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Maximum number of concurrent deliveries.
    pub concurrency: Option<u32>,
    /// True if the deliveries of a device are sent one after the other, in the order of their events.
    pub ordered_by_device: bool,
    /// Maximum number of attempts per second; `None` for no limit.
    pub rate_per_s: Option<u32>,
    /// Timeout of an attempt in seconds.
    pub timeout_s: Option<u64>,
    /// Delays before the second and later attempts, in seconds.
    pub schedule_s: Option<Vec<u64>>,
    /// Duration of failure in seconds after which the integration is paused; `None` for never.
    pub pause_after_s: Option<u64>,
}
