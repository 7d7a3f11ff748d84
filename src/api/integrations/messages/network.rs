//! Messages about what a network server reported of a device: joins, device status and locations.

use poem_openapi::Object;

use super::{
    absent::Absent,
    event::EventMembers,
    word::{Word, words},
};
use crate::api::http::types::Timestamp;

words!(Join: "join");
words!(Status: "status");
words!(Location: "location");

/// A device joined its network.
#[derive(Object)]
pub struct JoinMessage {
    /// Type of the event, as in `events` of the integration.
    event: Word<Join>,
    /// Kind of the event.
    kind: Word<Join>,
    /// Details for programs.
    details: JoinDetails,
    #[oai(flatten)]
    members: EventMembers,
}

/// Details of a join. Members without a value are left out.
#[derive(Object)]
struct JoinDetails {
    /// Identifier of the device in its network, such as the DevEUI in upper case.
    network_device_id: String,
    /// Time of the join by the network server's clock.
    time: Absent<Timestamp>,
    /// LoRaWAN device address in the new session, in hexadecimal digits.
    dev_addr: Absent<String>,
}

/// The network server reported the battery level or the link margin of a device.
#[derive(Object)]
pub struct StatusMessage {
    /// Type of the event, as in `events` of the integration.
    event: Word<Status>,
    /// Kind of the event.
    kind: Word<Status>,
    /// Details for programs.
    details: StatusDetails,
    #[oai(flatten)]
    members: EventMembers,
}

/// Status of a device. Members that the network server did not report are left out.
#[derive(Object)]
struct StatusDetails {
    /// Identifier of the device in its network, such as the DevEUI in upper case.
    network_device_id: String,
    /// Time of the report by the network server's clock.
    time: Absent<Timestamp>,
    /// Battery level in percent, from 0 to 100.
    battery_percent: Absent<f64>,
    /// Battery voltage in volts.
    battery_v: Absent<f64>,
    /// Whether the device runs on external power.
    external_power: Absent<bool>,
    /// Signal-to-noise ratio of the last downlink at the device, in dB above the required minimum.
    margin_db: Absent<f64>,
}

/// The network server estimated the location of a device.
#[derive(Object)]
pub struct LocationMessage {
    /// Type of the event, as in `events` of the integration.
    event: Word<Location>,
    /// Kind of the event.
    kind: Word<Location>,
    /// Details for programs.
    details: LocationDetails,
    #[oai(flatten)]
    members: EventMembers,
}

/// Location of a device in the WGS 84 system. Members that the network server did not report are left out.
#[derive(Object)]
struct LocationDetails {
    /// Identifier of the device in its network, such as the DevEUI in upper case.
    network_device_id: String,
    /// Time of the estimate by the network server's clock.
    time: Absent<Timestamp>,
    /// Latitude in degrees; positive values are north.
    #[oai(validator(minimum(value = "-90"), maximum(value = "90")))]
    latitude: f64,
    /// Longitude in degrees; positive values are east.
    #[oai(validator(minimum(value = "-180"), maximum(value = "180")))]
    longitude: f64,
    /// Altitude above sea level in metres.
    altitude_m: Absent<f64>,
    /// Radius of uncertainty in metres.
    accuracy_m: Absent<f64>,
}
