//! The native output format, in which uplinks go out.
//!
//! Member names are those of SmartMakers' thingsHub, also where the rest of this API has another word: a
//! consumer of that hub reads these messages unchanged. `crate::uplink::native` writes what is described here.

use poem_openapi::Object;

use super::absent::Absent;
use crate::api::{
    devices::history::UpdateView,
    http::types::{Count, Id, JsonObject, Port, Timestamp},
};

/// An uplink of a device in the native output format: how it was received, the device with its state after
/// the uplink, and the decoded data. Every member is present in every message, with null where the value is unknown;
/// only `updates` and `error` are left out where they do not apply.
#[derive(Object)]
pub struct UplinkMessage {
    /// Bandwidth in kHz, rounded. Null if the network did not report it.
    bandwidth: Option<Count>,
    /// Identifier of the device in its network, in lower case. In LoRaWAN networks it is the DevEUI, 16
    /// hexadecimal digits. In a network without DevEUIs, such as Sigfox or a generic connection, it is the
    /// identifier that this network uses, also in lower case. It is empty in a replayed uplink whose device no longer
    /// has an address in the network connection that received it. The identifier as provisioned is
    /// `uplink_metadata.connectivity.connections[].network_device_id`.
    dev_eui: String,
    /// Uplink frame counter of the device. Null if the network has none or did not report it.
    f_cnt_up: Option<Count>,
    /// LoRaWAN application port. Null if the network has no ports or did not report it.
    f_port: Option<Port>,
    /// Centre frequency in Hz. Null if the network did not report it.
    frequency: Option<Count>,
    /// Modulation: `LORA`, `FSK` or `LR_FHSS`. Null if the network did not report it.
    modulation: Option<String>,
    /// Decrypted payload in lower-case hexadecimal digits; empty if the frame had no payload. Null if the network sent
    /// only the encrypted form.
    raw_payload: Option<String>,
    /// Receptions of the frame by gateways, at most 64. Empty if the network did not report any.
    receptions: Vec<MessageReception>,
    /// Signal strength in dBm at the gateway with the best reception. Null if the network did not report it.
    rssi: Option<f64>,
    /// Signal-to-noise ratio in dB at the same gateway. Null if the network did not report it.
    snr: Option<f64>,
    /// LoRa spreading factor. Null if the network did not report it, or for another modulation.
    spread_factor: Option<Count>,
    /// Time at which the network server received the uplink. If the network server reported an
    /// implausible time, it is the time at which the hub received the uplink. Null if no time was reported.
    time: Option<Timestamp>,
    /// The device that sent the uplink, in its state after the uplink.
    uplink_metadata: UplinkMetadata,
    /// Decoded fields as returned by the device's driver. Null if the device has no driver, the driver failed, or
    /// the message is of the event type `raw`.
    data: Option<JsonObject>,
    /// Values with their own times, the earliest first. Present only if the driver returned values of several times;
    /// `data` then has the latest value of each field.
    updates: Absent<Vec<UpdateView>>,
    /// Error message of the driver, with the line of the script where it is known. Present only if the driver failed;
    /// `data` is then null.
    error: Absent<String>,
}

/// Reception of a frame by one gateway.
#[derive(Object)]
struct MessageReception {
    /// Identifier of the gateway in its network. Empty if the network did not report it.
    gateway: String,
    /// Signal strength in dBm. Null if the gateway did not report it.
    rssi: Option<f64>,
    /// Signal-to-noise ratio in dB. Null if the gateway did not report it.
    snr: Option<f64>,
    /// Time of reception by the gateway's clock. Null if the gateway has no clock or did not report it.
    time: Option<Timestamp>,
}

/// The device that sent an uplink.
#[derive(Object)]
struct UplinkMetadata {
    /// Unique identifier of the device in the hub.
    id: String,
    /// Name of the device for people; may be empty.
    name: String,
    /// Driver of the device as `author/name:tag` or `author/name@digest`. Empty if the device has none.
    driver: String,
    /// Labels of the device. Null, and never an empty list, if the device has none.
    labels: Option<Vec<String>>,
    /// State of the device after this uplink.
    state: MessageState,
    /// Time and payload of this uplink.
    last_data_received: MessageData,
    /// Addresses of the device in its networks.
    connectivity: MessageConnectivity,
}

/// State of the device after an uplink.
#[derive(Object)]
struct MessageState {
    /// Desired state as set by clients. Empty if there is none.
    desired: JsonObject,
    /// Reported state: decoded fields, merged uplink by uplink. Empty until the first decoded uplink.
    reported: JsonObject,
}

/// Time and payload of an uplink.
#[derive(Object)]
struct MessageData {
    /// Time at which the hub received the uplink.
    received_at: Timestamp,
    /// Payload in lower-case hexadecimal digits, the same as `raw_payload`. Null if the network sent only the encrypted
    /// form.
    raw: Option<String>,
}

/// Addresses of a device in its networks.
#[derive(Object)]
struct MessageConnectivity {
    /// Addresses of the device. A device that was moved to another network has several.
    connections: Vec<MessageConnection>,
}

/// Address of a device in one network.
#[derive(Object)]
struct MessageConnection {
    /// Identifier of the network connection: `network_connection_id` everywhere else in this API. The native
    /// output format fixes this name.
    network_server_id: Id,
    /// Identifier of the device in this network as it is provisioned, such as the DevEUI in upper case.
    network_device_id: String,
    /// The network connection: `network_connection` in the words of this API. The native output format fixes this name.
    network_server: MessageNetworkServer,
}

/// Network connection of a device.
#[derive(Object)]
struct MessageNetworkServer {
    /// Identifier of the network connection, the same as `network_server_id`.
    id: Id,
    /// Name of the network connection. Empty if the connection was deleted before the uplink was replayed.
    name: String,
}
