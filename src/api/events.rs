//! Events, as devices and network connections list them.

use poem_openapi::Object;
use serde::Serialize;

use super::types::{JsonObject, Timestamp};
use crate::store::events::Event;

/// Something worth telling that is not an uplink
#[derive(Object, Serialize)]
#[oai(rename = "Event")]
pub struct EventView {
    /// Its id (UUIDv7: it sorts by time)
    id: uuid::Uuid,
    /// What happened: `driver_failed`, `driver_warning`, `driver_logged`, `unknown_device` or `message`
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
