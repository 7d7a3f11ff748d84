//! Events in the lists of devices and network connections.

use poem_openapi::{Enum, Object};
use serde::Serialize;

use crate::{
    api::http::types::{JsonObject, Timestamp},
    store::live::events::Event,
};

/// Defines the kinds of events, the store's word for each, and the rule for a list of them.
macro_rules! event_kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $word:literal),+ $(,)?) => {
        /// Kind of an event.
        ///
        /// - `driver_failed`: the device's driver failed, or its result was rejected.
        /// - `driver_warning`: the device's driver returned a warning.
        /// - `driver_logged`: the device's driver logged something.
        /// - `redecoded`: stored uplinks of the device were decoded again.
        /// - `unknown_device`: a message of a device that does not exist in the hub arrived.
        /// - `join`: the device joined its network.
        /// - `downlink_queued`: a downlink was queued, in the hub or in the network server.
        /// - `downlink_sent`: the network server accepted a downlink, or a gateway sent it.
        /// - `downlink_acknowledged`: the device confirmed a downlink.
        /// - `downlink_not_acknowledged`: the device did not confirm a downlink.
        /// - `downlink_failed`: a downlink was given up or rejected.
        /// - `downlink_expired`: a downlink was not sent before its expiry.
        /// - `downlink_cancelled`: a downlink was cancelled or replaced.
        /// - `desired_state_not_sent`: no downlink could be queued for the desired state.
        /// - `status`: the device reported its battery and its link margin.
        /// - `location`: the network located the device.
        /// - `network_error`: the network server reported an error.
        /// - `network_log`: the network server logged something.
        /// - `message`: the network server sent another message.
        #[derive(Clone, Copy, Enum)]
        #[oai(rename = "EventKind")]
        pub enum EventKind {
            $($(#[doc = $doc])* #[oai(rename = $word)] $kind,)+
        }

        impl EventKind {
            /// Returns the store's word for the kind.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)+
                }
            }
        }

        /// Regular expression for `uplink` and kinds of events, separated by commas.
        pub const KINDS_PATTERN: &str = concat!(
            "^(uplink", $("|", $word,)+ ")(,(uplink", $("|", $word,)+ "))*$"
        );

        /// The same rule in words.
        pub const KINDS_RULE: &str =
            concat!("must be one or more of these, separated by commas: uplink", $(", ", $word,)+);
    };
}

event_kinds! {
    /// The device's driver failed, or its result was rejected.
    DriverFailed = "driver_failed",
    /// The device's driver returned a warning.
    DriverWarning = "driver_warning",
    /// The device's driver logged something.
    DriverLogged = "driver_logged",
    /// Stored uplinks of the device were decoded again.
    Redecoded = "redecoded",
    /// A message of a device that does not exist in the hub arrived.
    UnknownDevice = "unknown_device",
    /// The device joined its network.
    Join = "join",
    /// A downlink was queued, in the hub or in the network server.
    DownlinkQueued = "downlink_queued",
    /// The network server accepted a downlink, or a gateway sent it.
    DownlinkSent = "downlink_sent",
    /// The device confirmed a downlink.
    DownlinkAcknowledged = "downlink_acknowledged",
    /// The device did not confirm a downlink.
    DownlinkNotAcknowledged = "downlink_not_acknowledged",
    /// A downlink was given up or rejected.
    DownlinkFailed = "downlink_failed",
    /// A downlink was not sent before its expiry.
    DownlinkExpired = "downlink_expired",
    /// A downlink was cancelled or replaced.
    DownlinkCancelled = "downlink_cancelled",
    /// No downlink could be queued for the desired state.
    DesiredStateNotSent = "desired_state_not_sent",
    /// The device reported its battery and its link margin.
    Status = "status",
    /// The network located the device.
    Location = "location",
    /// The network server reported an error.
    NetworkError = "network_error",
    /// The network server logged something.
    NetworkLog = "network_log",
    /// The network server sent another message.
    Message = "message",
}

/// Event of a device or a network connection that is not an uplink.
#[derive(Object, Serialize)]
#[oai(rename = "Event")]
pub struct EventView {
    /// Identifier of the event (UUIDv7), which sorts by time.
    id: uuid::Uuid,
    /// Kind of the event: a value of `EventKind`.
    kind: String,
    /// Time of the event.
    at: Timestamp,
    /// Message for people.
    message: String,
    /// Details for programs, which depend on the kind: for `driver_failed`, they include `kind`, `line` and `logs`.
    details: JsonObject,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let Event {
            id,
            kind,
            at,
            message,
            details,
        } = event;
        Self {
            id,
            kind,
            at: Timestamp(at),
            message,
            details: JsonObject(details),
        }
    }
}
