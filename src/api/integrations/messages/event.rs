//! The members that all messages about events have.

use poem_openapi::Object;
use uuid::Uuid;

use crate::api::http::types::{Id, Timestamp};

/// The members that all messages about events have.
#[derive(Object)]
pub struct EventMembers {
    /// Unique identifier of the event (UUIDv7, sorts by time). It is the same in every integration and in every
    /// attempt, and the same as in `GET /api/v3/devices/{id}/events`.
    id: Uuid,
    /// Time at which the hub recorded the event.
    time: Timestamp,
    /// Description of the event for people. Its wording may change; programs use `kind` and `details`.
    message: String,
    /// The device that the event is about, as it was when the event was recorded.
    device: EventDevice,
}

/// The device that an event is about.
#[derive(Object)]
struct EventDevice {
    /// Unique identifier of the device in the hub.
    id: String,
    /// Name of the device for people; may be empty.
    name: String,
    /// Driver of the device as `author/name:tag` or `author/name@digest`. Empty if the device has none.
    driver: String,
    /// Labels of the device. Empty if the device has none.
    labels: Vec<String>,
    /// Addresses of the device in its networks.
    connections: Vec<EventConnection>,
}

/// Address of the device in one network.
#[derive(Object)]
struct EventConnection {
    /// Identifier of the network connection. Uplinks in the native output format name it `network_server_id`.
    network_connection_id: Id,
    /// Identifier of the device in this network, such as the DevEUI in upper case.
    network_device_id: String,
}
