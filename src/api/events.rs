//! Events, as devices and network connections list them.

use poem_openapi::{Enum, Object};
use serde::Serialize;

use super::types::{JsonObject, Timestamp};
use crate::store::events::Event;

/// A kind of event
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", rename = "EventKind")]
pub enum EventKind {
    DriverFailed,
    DriverWarning,
    DriverLogged,
    Redecoded,
    UnknownDevice,
    Message,
}

impl EventKind {
    /// The store's word for it.
    pub fn word(self) -> &'static str {
        match self {
            EventKind::DriverFailed => "driver_failed",
            EventKind::DriverWarning => "driver_warning",
            EventKind::DriverLogged => "driver_logged",
            EventKind::Redecoded => "redecoded",
            EventKind::UnknownDevice => "unknown_device",
            EventKind::Message => "message",
        }
    }
}

/// Something worth telling that is not an uplink
#[derive(Object, Serialize)]
#[oai(rename = "Event")]
pub struct EventView {
    /// Its id (UUIDv7: it sorts by time)
    id: uuid::Uuid,
    /// What happened: `driver_failed`, `driver_warning`, `driver_logged`, `redecoded`, `unknown_device` or `message`
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
