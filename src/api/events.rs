//! Events, as devices and network connections list them.

use poem_openapi::{Enum, Object};
use serde::Serialize;

use super::types::{JsonObject, Timestamp};
use crate::store::events::Event;

macro_rules! event_kinds {
    ($($variant:ident = $word:literal,)*) => {
        /// A kind of event
        #[derive(Clone, Copy, Enum)]
        #[oai(rename_all = "snake_case", rename = "EventKind")]
        pub enum EventKind {
            $($variant,)*
        }

        impl EventKind {
            /// The store's word for it.
            pub fn word(self) -> &'static str {
                match self {
                    $(EventKind::$variant => $word,)*
                }
            }
        }

        /// Kinds of what is told live, uplinks among them, with commas between.
        pub const KINDS_PATTERN: &str = concat!(
            "^(uplink", $("|", $word,)* ")(,(uplink", $("|", $word,)* "))*$"
        );
    };
}

// All kinds of events, in the order of the document.
event_kinds! {
    DriverFailed = "driver_failed",
    DriverWarning = "driver_warning",
    DriverLogged = "driver_logged",
    UnknownDevice = "unknown_device",
    DownlinkQueued = "downlink_queued",
    DownlinkSent = "downlink_sent",
    DownlinkAcknowledged = "downlink_acknowledged",
    DownlinkFailed = "downlink_failed",
    DownlinkExpired = "downlink_expired",
    DownlinkCancelled = "downlink_cancelled",
    DesiredStateNotSent = "desired_state_not_sent",
    Message = "message",
}

/// Something worth telling that is not an uplink
#[derive(Object, Serialize)]
#[oai(rename = "Event")]
pub struct EventView {
    /// Its id (UUIDv7: it sorts by time)
    id: uuid::Uuid,
    /// What happened: `driver_failed`, `driver_warning`, `driver_logged`, `unknown_device`, `message`,
    /// `desired_state_not_sent`, or `downlink_` and the state that a downlink has got into
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
