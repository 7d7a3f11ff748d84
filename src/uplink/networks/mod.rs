//! Network servers: one small adapter for each turns what that server sends into one [`Event`], so
//! that nothing behind this folder knows which network a message came from.
//!
//! Adapters are pure: a JSON body in, an event out, no clock and no store. They are strict with
//! what identifies a message and carries its data (device, port, counter, payload, time): what is
//! wrong there is [`Malformed`] and names the place. They are lenient with radio metadata: a part
//! that cannot be read is left out, for nobody should lose a measurement to an odd signal level.
//!
//! Invariant: everything in an [`Event`] is bounded and free of control characters, whatever the
//! body held, so it can be stored as it is.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub mod http;
pub mod the_things_stack;

/// Longest payload, in bytes. LoRaWAN carries at most 242 and Sigfox 12; what devices send over
/// other bearers through the generic adapter fits one IP packet (1500). The rest is headroom, and
/// the bound is what a driver's worker and a database row must hold for one message.
pub const MAX_PAYLOAD_BYTES: usize = 4096;
/// Most receptions kept of one uplink, the first ones in the order sent.
pub const MAX_RECEPTIONS: usize = 64;
/// Longest text kept from a message, in characters; more is cut off.
pub const MAX_TEXT_CHARS: usize = 200;

/// What a network server told us, in one form for all of them.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every event is an uplink; a box saves nothing"
)]
pub enum Event {
    /// A device sent something.
    Uplink(Uplink),
    /// Anything else that the network server is known to send: joins, downlink states and so on.
    Other {
        /// The network server's own name for it, such as `join_accept`.
        kind: String,
        /// The device, when the message names it in the form of [`Uplink::network_device_id`].
        network_device_id: Option<String>,
    },
}

/// One message of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Uplink {
    /// The device's id in its network, 1-100 characters: for LoRaWAN the DevEUI, 16 upper-case
    /// hexadecimal digits.
    pub network_device_id: String,
    /// LoRaWAN's application port; none where the network has no ports.
    pub f_port: Option<u8>,
    /// The device's frame counter; none where the network has none or does not tell.
    pub f_cnt: Option<u32>,
    /// What the device sent, decrypted, at most [`MAX_PAYLOAD_BYTES`]; it may be empty. None when
    /// the network server passed on only the encrypted form.
    pub payload: Option<Bytes>,
    /// When the network received it by the network server's clock, cut to microseconds.
    pub time: Option<DateTime<Utc>>,
    /// How it was received.
    pub radio: Radio,
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
    /// The gateways that heard it, at most [`MAX_RECEPTIONS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receptions: Vec<Reception>,
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

/// Why a message (or a mapping) cannot be read. It never holds a value from the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct Malformed {
    /// Where: a path such as `uplink_message.frm_payload`, or the JSON pointer of a mapping.
    pub field: String,
    /// The rule that was broken there.
    pub rule: String,
}

impl Malformed {
    fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
        }
    }
}

/// How one kind of network server speaks.
pub trait Network: Send + Sync {
    /// Reads one message of the network server.
    ///
    /// # Errors
    /// [`Malformed`], naming the first place that breaks a rule.
    fn parse(&self, body: &Value) -> Result<Event, Malformed>;
}

/// Which network server sends, and what must be known to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NetworkSettings {
    /// The Things Stack, version 3, by webhook.
    TheThingsStack(the_things_stack::TheThingsStack),
    /// Any server that posts JSON.
    Http(http::HttpMapping),
}

impl NetworkSettings {
    /// Whether messages can be read by these settings: call it before storing them.
    ///
    /// # Errors
    /// [`Malformed`] that names the setting.
    pub fn check(&self) -> Result<(), Malformed> {
        match self {
            Self::TheThingsStack(_) => Ok(()),
            Self::Http(mapping) => mapping.check(),
        }
    }

    /// The settings' `type`, as it is stored and written.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TheThingsStack(_) => "the_things_stack",
            Self::Http(_) => "http",
        }
    }

    /// The adapter for these settings.
    #[must_use]
    pub fn network(&self) -> &dyn Network {
        match self {
            Self::TheThingsStack(network) => network,
            Self::Http(mapping) => mapping,
        }
    }
}

/// Whether a device of this kind of network can have this id there; the rule, if not.
pub fn check_device_id(kind: &str, id: &str) -> Result<(), &'static str> {
    match kind {
        "the_things_stack" if !is_eui(id) => {
            Err("must be a DevEUI of 16 hexadecimal digits for The Things Stack")
        }
        _ => Ok(()),
    }
}

fn is_eui(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A DevEUI is the same in both cases: networks and people write it in either.
pub fn fold_network_device_id(id: &str) -> String {
    if is_eui(id) {
        id.to_ascii_uppercase()
    } else {
        id.to_owned()
    }
}

// --- What adapters read values with. Network servers send numbers as numbers or as text.

fn number(value: &Value) -> Option<f64> {
    let number = value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number)
}

fn whole_number(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// A signal level in dB or dBm; what no receiver measures is taken for "unknown".
fn level(value: &Value) -> Option<f64> {
    number(value).filter(|level| level.abs() <= 1000.0)
}

fn text(value: &Value) -> Option<String> {
    let text: String = value
        .as_str()?
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_TEXT_CHARS)
        .collect();
    (!text.is_empty()).then_some(text)
}

/// A time from RFC 3339 text, from 1970 to 9999.
fn instant(value: &Value) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(value.as_str()?.trim()).ok()?;
    from_microseconds(time.timestamp_micros())
}

/// The time after so many microseconds of Unix time, from 1970 to 9999.
fn from_microseconds(microseconds: i64) -> Option<DateTime<Utc>> {
    const YEAR_10000: i64 = 253_402_300_800_000_000;
    if !(0..YEAR_10000).contains(&microseconds) {
        return None;
    }
    DateTime::from_timestamp_micros(microseconds)
}

fn port(value: &Value, field: &str) -> Result<u8, Malformed> {
    let port = whole_number(value).and_then(|port| u8::try_from(port).ok());
    port.ok_or_else(|| Malformed::new(field, "must be a whole number from 0 to 255"))
}

fn frame_counter(value: &Value, field: &str) -> Result<u32, Malformed> {
    let counter = whole_number(value).and_then(|counter| u32::try_from(counter).ok());
    counter.ok_or_else(|| Malformed::new(field, "must be a whole number from 0 to 4294967295"))
}

/// How a payload is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadEncoding {
    /// Two hexadecimal digits a byte, in either case.
    Hex,
    /// Base64, standard or URL-safe, with or without padding.
    Base64,
}

fn payload(value: &Value, encoding: PayloadEncoding, field: &str) -> Result<Bytes, Malformed> {
    use base64::Engine;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

    let too_long = || {
        Malformed::new(
            field,
            format!("must hold at most {MAX_PAYLOAD_BYTES} bytes"),
        )
    };
    let text = value
        .as_str()
        .ok_or_else(|| Malformed::new(field, "must be a string"))?;
    // No encoding takes more than two characters a byte: refuse before decoding a huge text.
    if text.len() > 2 * MAX_PAYLOAD_BYTES {
        return Err(too_long());
    }
    let (bytes, rule) = match encoding {
        PayloadEncoding::Hex => (
            hex::decode(text).ok(),
            "must be hexadecimal: two digits 0-9, a-f for each byte",
        ),
        PayloadEncoding::Base64 if text.contains(['-', '_']) => {
            (URL_SAFE.decode(text).ok(), "must be base64")
        }
        PayloadEncoding::Base64 => (STANDARD.decode(text).ok(), "must be base64"),
    };
    let bytes = bytes.ok_or_else(|| Malformed::new(field, rule))?;
    if bytes.len() > MAX_PAYLOAD_BYTES {
        Err(too_long())
    } else {
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_told_apart_by_type_and_closed() {
        let read = |value| serde_json::from_value::<NetworkSettings>(value);
        let stack = read(json!({"type": "the_things_stack"})).expect("no settings needed");
        assert_eq!(
            serde_json::to_value(&stack).ok(),
            Some(json!({"type": "the_things_stack"}))
        );
        assert_eq!(stack.check(), Ok(()));
        assert!(stack.network().parse(&json!({})).is_err());

        let mapping = json!({"type": "http", "device_id_pointer": "/id", "payload_pointer": "/p",
                             "payload_encoding": "hex"});
        let http = read(mapping.clone()).expect("a mapping");
        assert_eq!(serde_json::to_value(&http).ok(), Some(mapping));

        for refused in [
            json!({"type": "the_things_stack", "more": 1}),
            json!({"type": "http", "device_id_pointer": "/id", "payload_pointer": "/p",
                   "payload_encoding": "hex", "more": 1}),
            json!({"type": "http", "device_id_pointer": "/id", "payload_encoding": "hex"}),
            json!({"type": "carrier_pigeon"}),
        ] {
            assert!(read(refused.clone()).is_err(), "{refused}");
        }
    }

    #[test]
    fn values_are_read_as_servers_send_them() {
        assert_eq!(whole_number(&json!("17")), Some(17));
        assert_eq!(whole_number(&json!(-1)), None);
        assert_eq!(level(&json!("-80.000000")), Some(-80.0));
        assert_eq!(level(&json!("NaN")), None);
        assert_eq!(level(&json!(1e300)), None);
        assert_eq!(text(&json!("a\u{0}b\n")), Some("ab".to_owned()));
        assert_eq!(text(&json!("ü".repeat(300))), Some("ü".repeat(200)));
        assert_eq!(instant(&json!("0001-01-01T00:00:00Z")), None);
        let leap = instant(&json!("2016-12-31T23:59:60.5Z")).map(|time| time.to_rfc3339());
        assert_eq!(leap.as_deref(), Some("2017-01-01T00:00:00.500+00:00"));
    }

    #[test]
    fn payloads_are_bounded_and_checked() {
        let read = |text: &str, encoding| payload(&json!(text), encoding, "data");
        use PayloadEncoding::{Base64, Hex};
        for (text, encoding) in [("FBff00", Hex), ("+/8A", Base64), ("-_8A", Base64)] {
            assert_eq!(
                read(text, encoding).as_deref(),
                Ok(&[0xfb, 0xff, 0][..]),
                "{text}"
            );
        }
        assert_eq!(read("vu8", Base64), read("vu8=", Base64));
        assert_eq!(read("", Hex).as_deref(), Ok(&[][..]));
        assert_eq!(
            read(&"00".repeat(4096), Hex).map(|bytes| bytes.len()),
            Ok(4096)
        );
        for (text, encoding, rule) in [
            (
                "abc",
                Hex,
                "must be hexadecimal: two digits 0-9, a-f for each byte",
            ),
            (
                "0x00",
                Hex,
                "must be hexadecimal: two digits 0-9, a-f for each byte",
            ),
            ("a+b_", Base64, "must be base64"),
            (&"00".repeat(4097), Hex, "must hold at most 4096 bytes"),
            (&"AAAA".repeat(1366), Base64, "must hold at most 4096 bytes"),
        ] {
            assert_eq!(read(text, encoding), Err(Malformed::new("data", rule)));
        }
        let error = payload(&json!(7), Hex, "data").map_err(|error| error.to_string());
        assert_eq!(error, Err("data: must be a string".to_owned()));
    }
}
