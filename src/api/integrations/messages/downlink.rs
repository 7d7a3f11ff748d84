//! Messages about the states of downlinks.

use poem_openapi::{Object, Union};
use uuid::Uuid;

use super::{
    absent::Absent,
    event::EventMembers,
    word::{Word, words},
};
use crate::api::{
    devices::downlinks::DownlinkOrigin,
    http::types::{Count, Port, Timestamp},
};

words!(Downlink: "downlink");
words!(DownlinkKinds: "downlink_queued", "downlink_sent", "downlink_acknowledged", "downlink_not_acknowledged",
    "downlink_failed", "downlink_expired", "downlink_cancelled");

/// A downlink has a new state, or the network server reported something about it.
#[derive(Object)]
pub struct DownlinkMessage {
    /// Type of the event, as in `events` of the integration.
    event: Word<Downlink>,
    /// Kind of the event: the new state of the downlink. `downlink_not_acknowledged` leaves open whether the network
    /// server sends the downlink again.
    kind: Word<DownlinkKinds>,
    /// Details for programs: with `downlink_id` if the hub changed the state of the downlink, with `network_device_id`
    /// if the network server reported it.
    details: DownlinkDetails,
    #[oai(flatten)]
    members: EventMembers,
}

/// Details of a downlink's event: of a change by the hub, or of a report by the network server.
#[derive(Union)]
#[oai(one_of = true)]
enum DownlinkDetails {
    Change(DownlinkChange),
    Report(DownlinkReport),
}

/// Change of a downlink's state by the hub.
#[derive(Object)]
struct DownlinkChange {
    /// Identifier of the downlink, as in `GET /api/v3/devices/{id}/downlinks/{downlink_id}`.
    downlink_id: Uuid,
    /// Cause of the downlink.
    origin: DownlinkOrigin,
    /// LoRaWAN port of the downlink.
    f_port: Port,
    /// Downlink frame counter. Null as long as it is unknown.
    f_cnt_down: Option<Count>,
    /// Error of the last attempt or of the last report. Null if there was none.
    error: Option<String>,
}

/// Report of the network server about a downlink. Members that it did not report are left out, except
/// `network_device_id`.
#[derive(Object)]
struct DownlinkReport {
    /// Identifier of the device in its network, such as the DevEUI in upper case. Null if the network server
    /// identified the downlink, but not the device.
    network_device_id: Option<String>,
    /// Time of the report by the network server's clock.
    time: Absent<Timestamp>,
    /// Identifier that the hub gave the downlink, as the network server returned it: `downlink_id`, possibly with a
    /// prefix.
    correlation: Absent<String>,
    /// Identifier that the network server gave the downlink.
    network_reference: Absent<String>,
    /// Downlink frame counter.
    f_cnt_down: Absent<Count>,
}
