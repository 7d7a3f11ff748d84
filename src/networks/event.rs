//! What a network server may tell, in one form for all of them.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The kind of a message that does not say what it is.
pub const UNNAMED: &str = "unnamed";

/// What a network server told us.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A device sent something.
    Uplink(Box<Uplink>),
    /// Anything else: joins, what became of downlinks, and so on.
    News(News),
}

impl Event {
    /// An uplink.
    #[must_use]
    pub fn uplink(uplink: Uplink) -> Self {
        Self::Uplink(Box::new(uplink))
    }

    /// The device that it is about, where it is about one.
    #[must_use]
    pub fn network_device_id(&self) -> Option<&str> {
        match self {
            Self::Uplink(uplink) => Some(&uplink.network_device_id),
            Self::News(news) => news.network_device_id.as_deref(),
        }
    }
}

/// What a network server calls a device, and what the device belongs to there: what a downlink to
/// it may have to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// The network server's own id or name of the device, such as The Things Stack's `device_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The id of the application that the device belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The network server's tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// One message of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Uplink {
    /// The device's id in its network, 1-100 characters: for LoRaWAN the DevEUI, 16 upper-case
    /// hexadecimal digits.
    pub network_device_id: String,
    /// What the network server calls it beside.
    pub names: Names,
    /// What the frame counter counts within, such as LoRaWAN's session. None where the network has
    /// no sessions or does not tell of them.
    pub session: Option<String>,
    /// What the network server itself calls this reception: the same in every copy that it sends of a
    /// frame, and another for each frame that it hears. None where it has nothing of the kind.
    pub reception: Option<String>,
    /// LoRaWAN's application port; none where the network has no ports.
    pub f_port: Option<u8>,
    /// The device's frame counter; none where the network has none or does not tell.
    pub f_cnt: Option<u32>,
    /// What the device sent, decrypted, at most [`super::MAX_PAYLOAD_BYTES`]; it may be empty. None
    /// when the network server passed on only the encrypted form.
    pub payload: Option<Bytes>,
    /// When the network received it by the network server's clock, cut to microseconds. None as well
    /// where its time cannot be read or cannot be true: [`Radio::reported_time`] then has it.
    pub time: Option<DateTime<Utc>>,
    /// Whether the network server takes a downlink in the answer to this message.
    pub wants_downlink: bool,
    /// Whether the device confirms the last confirmed downlink with it, where the network server
    /// tells.
    pub acknowledges: bool,
    /// What the network server tells with it, such as where the device is.
    pub beside: Option<Box<Told>>,
    /// How it was received.
    pub radio: Radio,
}

impl Uplink {
    /// Whether it may hold data of the device: see [`carries_data`].
    #[must_use]
    pub fn carries_data(&self) -> bool {
        carries_data(self.f_port, self.payload.as_deref())
    }
}

/// Whether a frame may hold data of the device. One without a payload holds none, and on port 0 the
/// payload is commands of LoRaWAN itself. Of one that is passed on encrypted (no payload at all) nobody
/// knows.
#[must_use]
pub fn carries_data(f_port: Option<u8>, payload: Option<&[u8]>) -> bool {
    f_port != Some(0) && payload.is_none_or(|payload| !payload.is_empty())
}

/// How an uplink was sent and received. Every part is for information; any may be missing.
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
    /// As people write it: `SF7BW125` for LoRa, bits per second for FSK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_rate: Option<String>,
    /// Such as `4/5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coding_rate: Option<String>,
    /// Signal strength in dBm at the gateway that heard it best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rssi: Option<f64>,
    /// Signal to noise ratio in dB at that same gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr: Option<f64>,
    /// Whether the device asked for a confirmation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
    /// LoRaWAN's address of the device in this session, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_addr: Option<String>,
    /// Charge of the battery in percent, as the device last told the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_percent: Option<f64>,
    /// Whether the device runs on external power, as it last told the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_power: Option<bool>,
    /// The time that the network server told, where it cannot be read or cannot be true: the hub's own
    /// counts then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_time: Option<String>,
    /// The relay that passed the frame on, where one did: the other levels are then the relay's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<Relay>,
    /// The gateways that heard it, at most [`super::read::MAX_RECEPTIONS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receptions: Vec<Reception>,
}

/// A device that passed an uplink on, and how it heard it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Relay {
    /// The relay's DevEUI.
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
    /// The gateway's id in its network; empty when not told.
    pub gateway: String,
    /// Signal strength in dBm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rssi: Option<f64>,
    /// Signal to noise ratio in dB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr: Option<f64>,
    /// When, by the gateway's own clock, cut to microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<DateTime<Utc>>,
}

/// A message that is no uplink.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// The device, when the message names it in the form of [`Uplink::network_device_id`].
    pub network_device_id: Option<String>,
    /// What the network server calls the device beside.
    pub names: Names,
    /// When it happened by the network server's clock, cut to microseconds.
    pub time: Option<DateTime<Utc>>,
    /// What is told.
    pub told: Told,
}

impl News {
    /// News without names and time.
    #[must_use]
    pub fn new(network_device_id: Option<String>, told: Told) -> Self {
        Self {
            network_device_id,
            names: Names::default(),
            time: None,
            told,
        }
    }
}

/// What a message tells that is no uplink.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A device has joined the network, or asks to.
    Join {
        /// LoRaWAN's address of the device in the new session, hexadecimal.
        dev_addr: Option<String>,
    },
    /// What became of a downlink.
    Downlink(DownlinkNews),
    /// What the device tells of itself in LoRaWAN's device status.
    Status {
        /// Charge of the battery in percent, 0-100.
        battery_percent: Option<f64>,
        /// Voltage of the battery.
        battery_v: Option<f64>,
        /// Whether the device runs on external power.
        external_power: Option<bool>,
        /// Signal to noise ratio of the last downlink at the device, in dB above what it needs.
        margin_db: Option<f64>,
    },
    /// Where the network thinks that the device is.
    Location {
        /// Degrees north, -90 to 90.
        latitude: f64,
        /// Degrees east, -180 to 180.
        longitude: f64,
        /// Metres above the sea.
        altitude_m: Option<f64>,
        /// Radius in metres.
        accuracy_m: Option<f64>,
    },
    /// Something that went wrong in the network server.
    Error {
        /// The network server's word for it.
        code: Option<String>,
        /// What it says.
        message: String,
    },
    /// Something that the network server wrote down.
    Log {
        /// How bad it is, in the network server's words.
        level: Option<String>,
        /// The network server's word for it.
        code: Option<String>,
        /// What it says.
        message: String,
    },
    /// Anything else.
    Other {
        /// The network server's own name for it, such as `service_data`.
        kind: String,
    },
}

/// What became of a downlink.
#[derive(Clone, Debug, PartialEq)]
pub struct DownlinkNews {
    /// The id that the hub gave the downlink, where the network server echoes what was sent along
    /// ([`super::downlink::CORRELATION_PREFIX`]).
    pub correlation: Option<String>,
    /// The id that the network server gave it.
    pub network_reference: Option<String>,
    /// LoRaWAN's downlink frame counter.
    pub f_cnt_down: Option<u32>,
    /// What became of it.
    pub state: DownlinkState,
}

impl DownlinkNews {
    /// News that do not say which downlink they are about.
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

/// What became of a downlink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownlinkState {
    /// It waits in the network server.
    Queued,
    /// A gateway has sent it.
    Sent,
    /// The device has confirmed it.
    Acknowledged,
    /// The device did not confirm it in time, and the network has given it up.
    NotAcknowledged,
    /// The device did not confirm it in time, and the network sends it again.
    NotAcknowledgedYet,
    /// It will not be sent; why not, in the network server's words.
    Failed(String),
}
