//! Messages about errors: of drivers and of network servers.

use poem_openapi::Object;

use super::{
    absent::Absent,
    event::EventMembers,
    word::{Word, words},
};
use crate::api::http::types::{Count, JsonValue, Timestamp};

words!(Error: "error");
words!(DriverFailed: "driver_failed");
words!(NetworkError: "network_error");

/// The driver of a device failed on an uplink, or its result was refused.
#[derive(Object)]
pub struct DriverFailedMessage {
    /// Type of the event, as in `events` of the integration.
    event: Word<Error>,
    /// Kind of the event.
    kind: Word<DriverFailed>,
    /// Details for programs.
    details: DriverFailedDetails,
    #[oai(flatten)]
    members: EventMembers,
}

/// Details of a driver's failure.
#[derive(Object)]
struct DriverFailedDetails {
    /// Cause of the failure, such as `exception`, `schema`, `cpu_time`, `memory`, or `missing` if the driver does not
    /// exist.
    kind: String,
    /// Error message for the driver's author.
    message: String,
    /// Line of the driver's script, counted from 1. Null if it is unknown.
    line: Option<Count>,
    /// Lines that the driver wrote to its console before it failed, the earliest first.
    logs: Vec<String>,
}

/// The network server reported an error about a device.
#[derive(Object)]
pub struct NetworkErrorMessage {
    /// Type of the event, as in `events` of the integration.
    event: Word<Error>,
    /// Kind of the event.
    kind: Word<NetworkError>,
    /// Details for programs.
    details: NetworkErrorDetails,
    #[oai(flatten)]
    members: EventMembers,
}

/// Details of a network server's error. Members without a value are left out.
#[derive(Object)]
struct NetworkErrorDetails {
    /// Identifier of the device in its network, such as the DevEUI in upper case.
    network_device_id: String,
    /// Time of the error by the network server's clock.
    time: Absent<Timestamp>,
    /// Error code of the network server.
    code: Absent<String>,
    /// Message of the network server as it was received, without credentials. If it was longer than 4,096 bytes, it is
    /// the beginning of its JSON as a string, and `truncated` is true.
    body: JsonValue,
    /// True if `body` is only the beginning of the message.
    truncated: Absent<bool>,
}
