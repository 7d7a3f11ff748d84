//! Common form of all messages from network servers.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Kind of a message that does not contain its kind.
pub const UNNAMED: &str = "unnamed";

/// Content of one message from a network server.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Uplink of a device.
    Uplink(Box<Uplink>),
    /// Any other message: a join, the state of a downlink, and so on.
    News(News),
}

impl Event {
    /// Wraps an uplink.
    #[must_use]
    pub fn uplink(uplink: Uplink) -> Self {
        Self::Uplink(Box::new(uplink))
    }

    /// Returns the network's id of the device, if the message is about one.
    #[must_use]
    pub fn network_device_id(&self) -> Option<&str> {
        match self {
            Self::Uplink(uplink) => Some(&uplink.network_device_id),
            Self::News(news) => news.network_device_id.as_deref(),
        }
    }
}

/// Names of a device, its application and its tenant in the network server. A downlink to the device
/// may need them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// Network server's own id or name of the device, such as The Things Stack's `device_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Id of the application that the device belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Tenant in the network server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// One uplink of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Uplink {
    /// Id of the device in its network, 1-100 characters. For LoRaWAN the DevEUI, 16 upper-case hexadecimal
    /// digits.
    pub network_device_id: String,
    /// Names in the network server.
    pub names: Names,
    /// Scope of the frame counter, such as LoRaWAN's session. `None` if the network has no sessions or does
    /// not report them.
    pub session: Option<String>,
    /// Network server's id of this reception: the same in every copy of a frame, and different for each
    /// frame. `None` if the network server has no such id.
    pub reception: Option<String>,
    /// LoRaWAN's application port; `None` if the network has no ports.
    pub f_port: Option<u8>,
    /// Frame counter of the device; `None` if the network has none or does not report it.
    pub f_cnt: Option<u32>,
    /// Decrypted payload, at most [`super::MAX_PAYLOAD_BYTES`]; may be empty. `None` if the network server
    /// sent only the encrypted form.
    pub payload: Option<Bytes>,
    /// Time of reception by the network server's clock, truncated to microseconds. Also `None` if the
    /// reported time is unreadable or implausible; [`Radio::reported_time`] then contains it.
    pub time: Option<DateTime<Utc>>,
    /// True if the network server accepts a downlink in the response to this message.
    pub wants_downlink: bool,
    /// True if the device acknowledges the last confirmed downlink with this uplink. False if the network
    /// server does not report it.
    pub acknowledges: bool,
    /// Other information in the message, such as the location of the device.
    pub beside: Option<Box<Report>>,
    /// Radio metadata.
    pub radio: Radio,
}

impl Uplink {
    /// True if the uplink may contain data of the device, see [`carries_data`].
    #[must_use]
    pub fn carries_data(&self) -> bool {
        carries_data(self.f_port, self.payload.as_deref())
    }
}

/// Returns true if a frame may contain data of the device. A frame without a payload contains none, and
/// on port 0 the payload is LoRaWAN MAC commands. An encrypted frame (`payload` is `None`) may contain
/// data.
#[must_use]
pub fn carries_data(f_port: Option<u8>, payload: Option<&[u8]>) -> bool {
    f_port != Some(0) && payload.is_none_or(|payload| !payload.is_empty())
}

/// Radio metadata of an uplink. All fields are informational and optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Radio {
    /// Centre frequency in Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<u64>,
    /// Bandwidth in kHz, rounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<u32>,
    /// LoRa spreading factor, 5-12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread_factor: Option<u8>,
    /// `LORA`, `FSK` or `LR_FHSS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulation: Option<String>,
    /// Data rate: `SF7BW125` for LoRa, bits per second for FSK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_rate: Option<String>,
    /// Coding rate, such as `4/5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coding_rate: Option<String>,
    /// Signal strength in dBm at the gateway with the best reception.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rssi: Option<f64>,
    /// Signal to noise ratio in dB at that same gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr: Option<f64>,
    /// True if the device requested an acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
    /// LoRaWAN device address in this session, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_addr: Option<String>,
    /// Battery level in percent, as last reported by the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_percent: Option<f64>,
    /// True if the device runs on external power, as last reported by the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_power: Option<bool>,
    /// Time that the network server reported, if it is unreadable or implausible. The hub uses its own time
    /// then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_time: Option<String>,
    /// Relay that forwarded the frame, if any; `rssi` and `snr` are then those of the relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<Relay>,
    /// Gateways that received the frame, at most [`super::read::MAX_RECEPTIONS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receptions: Vec<Reception>,
}

/// A relay that forwarded an uplink, and its reception of the device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Relay {
    /// DevEUI of the relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_eui: Option<String>,
    /// Centre frequency in Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<u64>,
    /// Signal strength in dBm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rssi: Option<f64>,
    /// Signal to noise ratio in dB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr: Option<f64>,
}

/// One gateway's reception of an uplink.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reception {
    /// Id of the gateway in its network; empty if not reported.
    pub gateway: String,
    /// Signal strength in dBm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rssi: Option<f64>,
    /// Signal to noise ratio in dB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr: Option<f64>,
    /// Time of reception by the gateway's clock, truncated to microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<DateTime<Utc>>,
}

/// A message other than an uplink.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// Id of the device, if the message contains it in the form of [`Uplink::network_device_id`].
    pub network_device_id: Option<String>,
    /// Names of the device in the network server.
    pub names: Names,
    /// Time of the event by the network server's clock, truncated to microseconds.
    pub time: Option<DateTime<Utc>>,
    /// Content of the message.
    pub report: Report,
}

impl News {
    /// Creates a message without names and time.
    #[must_use]
    pub fn new(network_device_id: Option<String>, report: Report) -> Self {
        Self {
            network_device_id,
            names: Names::default(),
            time: None,
            report,
        }
    }
}

/// Content of a message other than an uplink.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A device has joined the network, or requests to.
    Join {
        /// LoRaWAN device address in the new session, hexadecimal.
        dev_addr: Option<String>,
    },
    /// New state of a downlink.
    Downlink(DownlinkNews),
    /// LoRaWAN device status.
    Status {
        /// Battery level in percent, 0-100.
        battery_percent: Option<f64>,
        /// Battery voltage in volts.
        battery_v: Option<f64>,
        /// True if the device runs on external power.
        external_power: Option<bool>,
        /// Signal to noise ratio of the last downlink at the device, in dB above the required minimum.
        margin_db: Option<f64>,
    },
    /// Location of the device as estimated by the network.
    Location {
        /// Latitude in degrees north, -90 to 90.
        latitude: f64,
        /// Longitude in degrees east, -180 to 180.
        longitude: f64,
        /// Altitude above sea level in metres.
        altitude_m: Option<f64>,
        /// Radius of uncertainty in metres.
        accuracy_m: Option<f64>,
    },
    /// An error in the network server.
    Error {
        /// Error code of the network server.
        code: Option<String>,
        /// Error message.
        message: String,
    },
    /// A log entry of the network server.
    Log {
        /// Severity, as the network server names it.
        level: Option<String>,
        /// Code of the network server.
        code: Option<String>,
        /// Log message.
        message: String,
    },
    /// Any other message.
    Other {
        /// Network server's name for the kind of message, such as `service_data`.
        kind: String,
    },
}

/// State of a downlink as reported by the network server.
#[derive(Clone, Debug, PartialEq)]
pub struct DownlinkNews {
    /// Id that the hub gave the downlink, if the network server echoes it
    /// ([`super::downlink::CORRELATION_PREFIX`]).
    pub correlation: Option<String>,
    /// Id that the network server gave the downlink.
    pub network_reference: Option<String>,
    /// LoRaWAN downlink frame counter.
    pub f_cnt_down: Option<u32>,
    /// State of the downlink.
    pub state: DownlinkState,
}

impl DownlinkNews {
    /// Creates a report that does not identify its downlink.
    #[must_use]
    pub fn of_some(state: DownlinkState) -> Self {
        Self {
            correlation: None,
            network_reference: None,
            f_cnt_down: None,
            state,
        }
    }
}

/// State of a downlink in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownlinkState {
    /// The network server has queued the downlink.
    Queued,
    /// A gateway has sent the downlink.
    Sent,
    /// The device has acknowledged the downlink.
    Acknowledged,
    /// The device did not acknowledge the downlink in time, and the network has given up.
    NotAcknowledged,
    /// The device did not acknowledge the downlink in time, and the network sends it again.
    NotAcknowledgedYet,
    /// The downlink will not be sent, for the reason given by the network server.
    Failed(String),
}
