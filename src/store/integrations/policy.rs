//! What an integration forwards, and the rules that its deliveries go by.

use serde::{Deserialize, Serialize};

use crate::store::core::words::words;

/// A type of event that an integration may forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// Uplinks with what the driver made of them.
    Data,
    /// Uplinks as they were received.
    Raw,
    /// Devices that have joined their network.
    Join,
    /// What became of downlinks.
    Downlink,
    /// Battery and margin, as the network tells of them.
    Status,
    /// Where a device is, as the network tells of it.
    Location,
    /// What went wrong: drivers that failed, errors of the network.
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
    /// The type of an event of this kind (see [`crate::store::live::events::Event`]); `None`: no integration
    /// forwards it.
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

    /// Whether it tells of an uplink, and not of an event.
    pub fn is_uplink(self) -> bool {
        matches!(self, EventType::Data | EventType::Raw)
    }
}

/// How an integration is delivered to; what is `None` is as the hub's settings say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Deliveries under way at a time.
    pub concurrency: Option<u32>,
    /// Whether each device's deliveries go one after the other, in the order of their events.
    pub ordered_by_device: bool,
    /// Attempts in a second, at most; `None`: as many as the target takes.
    pub rate_per_s: Option<u32>,
    /// Longest time for one attempt, in seconds.
    pub timeout_s: Option<u64>,
    /// Waits before the second, third ... attempt, in seconds.
    pub schedule_s: Option<Vec<u64>>,
    /// After failing for so many seconds, it is paused; `None`: never.
    pub pause_after_s: Option<u64>,
}
