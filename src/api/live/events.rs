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
        /// A kind of event
        #[derive(Clone, Copy, Enum)]
        #[oai(rename = "EventKind")]
        pub enum EventKind {
            $($(#[doc = $doc])* #[oai(rename = $word)] $kind,)+
        }

        impl EventKind {
            /// The store's word for it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)+
                }
            }
        }

        /// Kinds of events and `uplink`, with commas between, as a regular expression.
        pub const KINDS_PATTERN: &str = concat!(
            "^(uplink", $("|", $word,)+ ")(,(uplink", $("|", $word,)+ "))*$"
        );

        /// The same for a person.
        pub const KINDS_RULE: &str =
            concat!("must be some of these, with commas between: uplink", $(", ", $word,)+);
    };
}

event_kinds! {
    /// The device's driver failed, or its result was refused
    DriverFailed = "driver_failed",
    /// The device's driver warned of something
    DriverWarning = "driver_warning",
    /// The device's driver logged something
    DriverLogged = "driver_logged",
    /// Stored uplinks of the device were decoded again
    Redecoded = "redecoded",
    /// A message of a device that nobody provisioned
    UnknownDevice = "unknown_device",
    /// The device joined its network
    Join = "join",
    /// A downlink waits
    DownlinkQueued = "downlink_queued",
    /// A gateway sent a downlink
    DownlinkSent = "downlink_sent",
    /// The device confirmed a downlink
    DownlinkAcknowledged = "downlink_acknowledged",
    /// The device did not confirm a downlink
    DownlinkNotAcknowledged = "downlink_not_acknowledged",
    /// A downlink will not be sent
    DownlinkFailed = "downlink_failed",
    /// A downlink waited too long
    DownlinkExpired = "downlink_expired",
    /// A downlink was taken back
    DownlinkCancelled = "downlink_cancelled",
    /// The device is not told of its desired state
    DesiredStateNotSent = "desired_state_not_sent",
    /// The device told its battery and its margin
    Status = "status",
    /// The network located the device
    Location = "location",
    /// Something went wrong in the network server
    NetworkError = "network_error",
    /// Something that the network server wrote down
    NetworkLog = "network_log",
    /// Any other message of the network server
    Message = "message",
}

/// Something worth telling that is not an uplink
#[derive(Object, Serialize)]
#[oai(rename = "Event")]
pub struct EventView {
    /// Its id (UUIDv7: it sorts by time)
    id: uuid::Uuid,
    /// What happened, in a word: the kinds are those that the lists of events take as `kind`
    kind: String,
    /// When it happened
    at: Timestamp,
    /// What happened, for a person
    message: String,
    /// What happened, for a program: a failed driver's `kind`, `line` and `logs`, say
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
