//! The native output format, in which integrations send uplinks.
//!
//! It is the format of SmartMakers' thingsHub, so that consumers of that hub can read ours. Invariant:
//! every key of that format is always present, in its order and with its type (null if a value is
//! unknown). We add `data`, the decoded fields, and, only if there is one, `error`, the failure of the
//! driver, or `updates`, the values with their own times that the driver returned.

use chrono::{DateTime, Utc};
use serde_json::{Map, Number, Value, json};

use crate::networks::{Reception, Uplink};

/// Input of one output document. All values were validated and truncated at ingest.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// The received uplink.
    pub uplink: &'a Uplink,
    /// Time at which the hub received the uplink.
    pub received_at: DateTime<Utc>,
    /// The device that the uplink belongs to.
    pub device: Device<'a>,
    /// Result of the device's driver.
    pub decoded: Decoded<'a>,
}

/// The device in its state after this uplink.
#[derive(Clone, Debug)]
pub struct Device<'a> {
    /// Id in the hub.
    pub id: &'a str,
    /// Name; may be empty.
    pub name: &'a str,
    /// Driver as `author/name:tag`; empty if there is none.
    pub driver: &'a str,
    /// Labels; an empty list is written as null, as the format requires.
    pub labels: &'a [String],
    /// Desired state.
    pub desired_state: &'a Map<String, Value>,
    /// State that the device reported.
    pub reported_state: &'a Map<String, Value>,
    /// Network connections of the device.
    pub connections: &'a [Connection<'a>],
}

/// Connection of a device to one network.
#[derive(Clone, Debug)]
pub struct Connection<'a> {
    /// Id of the network connection in the hub.
    pub network_connection_id: i64,
    /// Name of the network connection.
    pub network_connection_name: &'a str,
    /// Id of the device in that network, such as its DevEUI.
    pub network_device_id: &'a str,
}

/// Result of decoding.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    /// The device has no driver.
    NoDriver,
    /// The decoded fields.
    Fields(&'a Map<String, Value>),
    /// The latest fields, and the values of each time as the driver returned them.
    Updates(&'a Map<String, Value>, &'a Value),
    /// The driver failed; contains the error message for the driver's author.
    Failed(&'a str),
}

/// Renders one uplink in the native output format.
#[must_use]
pub fn render(parts: &Parts<'_>) -> Value {
    let Parts {
        uplink,
        received_at,
        device,
        decoded,
    } = parts;
    let radio = &uplink.radio;
    let raw_payload = uplink.payload.as_ref().map(hex::encode);
    let (data, updates, error) = match decoded {
        Decoded::NoDriver => (None, None, None),
        Decoded::Fields(fields) => (Some(fields), None, None),
        Decoded::Updates(fields, updates) => (Some(fields), Some(updates), None),
        Decoded::Failed(error) => (None, None, Some(error)),
    };
    let mut output = json!({
        "bandwidth": radio.bandwidth,
        "dev_eui": uplink.network_device_id.to_lowercase(),
        "f_cnt_up": uplink.f_cnt,
        "f_port": uplink.f_port,
        "frequency": radio.frequency,
        "modulation": radio.modulation,
        "raw_payload": raw_payload,
        "receptions": radio.receptions.iter().map(reception).collect::<Vec<_>>(),
        "rssi": level(radio.rssi),
        "snr": level(radio.snr),
        "spread_factor": radio.spread_factor,
        // Falls back to the hub's time if the network's time is implausible.
        "time": uplink.time.or(radio.reported_time.is_some().then_some(*received_at)).map(rfc3339),
        "uplink_metadata": {
            "id": device.id,
            "name": device.name,
            "driver": device.driver,
            "labels": (!device.labels.is_empty()).then_some(device.labels),
            "state": { "desired": device.desired_state, "reported": device.reported_state },
            "last_data_received": { "received_at": rfc3339(*received_at), "raw": raw_payload },
            "connectivity": {
                "connections": device.connections.iter().map(connection).collect::<Vec<_>>(),
            },
        },
        "data": data,
    });
    if let Some(updates) = updates {
        output["updates"] = (*updates).clone();
    }
    if let Some(error) = error {
        output["error"] = json!(error);
    }
    output
}

fn reception(reception: &Reception) -> Value {
    json!({
        "gateway": reception.gateway,
        "rssi": level(reception.rssi),
        "snr": level(reception.snr),
        "time": reception.time.map(rfc3339),
    })
}

fn connection(connection: &Connection<'_>) -> Value {
    json!({
        "network_server_id": connection.network_connection_id,
        "network_device_id": connection.network_device_id,
        "network_server": {
            "id": connection.network_connection_id,
            "name": connection.network_connection_name,
        },
    })
}

/// Formats a signal level; a whole number has no fraction (`-69`, not `-69.0`), as the format requires.
fn level(level: Option<f64>) -> Option<Number> {
    let level = level?;
    if level.fract() == 0.0 && level.abs() < 1e9 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and within i64 as just checked"
        )]
        return Some(Number::from(level as i64));
    }
    Number::from_f64(level)
}

/// Formats a time in UTC without trailing zeros in the fraction, like Go, as the format requires.
fn rfc3339(time: DateTime<Utc>) -> String {
    let text = time.format("%Y-%m-%dT%H:%M:%S%.9f").to_string();
    format!("{}Z", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::networks::Radio;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn uplink() -> Uplink {
        let at = time("2019-02-27T15:23:37.311Z");
        Uplink {
            network_device_id: "70B3D5E75E00470C".to_owned(),
            f_port: Some(125),
            f_cnt: Some(21144),
            payload: Some(Bytes::from_static(
                b"\x11\x0a\x00\x0c\x00\x55\x39\x3b\xa1\x54\x68",
            )),
            time: Some(at),
            radio: Radio {
                frequency: Some(867_100_000),
                bandwidth: Some(125),
                spread_factor: Some(7),
                modulation: Some("LORA".to_owned()),
                rssi: Some(-69.0),
                receptions: vec![Reception {
                    gateway: String::new(),
                    rssi: Some(-69.0),
                    snr: Some(9.2),
                    time: Some(at),
                }],
                ..Radio::default()
            },
            ..Uplink::default()
        }
    }

    fn rendered(uplink: &Uplink, labels: &[String], decoded: Decoded<'_>) -> Value {
        let mut reported_state = Map::new();
        reported_state.insert("RawPayload".to_owned(), json!("110a000c0055393ba15468"));
        render(&Parts {
            uplink,
            received_at: time("2019-02-27T15:23:37.56722709Z"),
            device: Device {
                id: "4-70b3d5e75e00470c-5",
                name: "",
                driver: "",
                labels,
                desired_state: &Map::new(),
                reported_state: &reported_state,
                connections: &[Connection {
                    network_connection_id: 4,
                    network_connection_name: "Loriot over insecure TLS",
                    network_device_id: "70B3D5E75E00470C",
                }],
            },
            decoded,
        })
    }

    #[test]
    fn reproduces_the_published_sample() {
        let sample = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/uplinks/thingshub_native_output.json"
        ));
        let sample: Value = serde_json::from_str(sample).expect("the sample is JSON");
        let mut output = rendered(&uplink(), &[], Decoded::NoDriver);
        let data = output
            .as_object_mut()
            .and_then(|output| output.shift_remove("data"));
        assert_eq!(data, Some(Value::Null));
        // Compared as text to check the order of the keys, too.
        assert_eq!(output.to_string(), sample.to_string());
    }

    #[test]
    fn adds_the_decoded_fields_or_the_error() {
        let mut fields = Map::new();
        fields.insert("temperature".to_owned(), json!(21.5));
        let labels = ["site=berlin".to_owned()];
        let output = rendered(&uplink(), &labels, Decoded::Fields(&fields));
        assert_eq!(output["data"], json!({"temperature": 21.5}));
        assert_eq!(output.get("error"), None);
        assert_eq!(output["uplink_metadata"]["labels"], json!(["site=berlin"]));

        let output = rendered(&uplink(), &[], Decoded::Failed("line 3: no such port"));
        assert_eq!(output["data"], Value::Null);
        assert_eq!(output["error"], "line 3: no such port");
    }

    #[test]
    fn keeps_every_key_when_nothing_is_known() {
        let bare = Uplink {
            network_device_id: "Meter 7".to_owned(),
            ..Uplink::default()
        };
        let keys = |value: &Value| -> Vec<String> {
            value
                .as_object()
                .into_iter()
                .flat_map(|object| object.keys().cloned())
                .collect()
        };
        let full = rendered(&uplink(), &[], Decoded::NoDriver);
        let output = rendered(&bare, &[], Decoded::NoDriver);
        assert_eq!(keys(&output), keys(&full));
        assert_eq!(output["dev_eui"], "meter 7");
        assert_eq!(output["receptions"], json!([]));
        assert_eq!(output["time"], Value::Null);
    }

    #[test]
    fn writes_times_and_levels_as_the_format_has_them() {
        assert_eq!(
            rfc3339(time("2019-02-27T15:23:30Z")),
            "2019-02-27T15:23:30Z"
        );
        assert_eq!(
            rfc3339(time("2019-02-27T15:23:30.120Z")),
            "2019-02-27T15:23:30.12Z"
        );
        assert_eq!(
            level(Some(-69.0)).map(|level| level.to_string()).as_deref(),
            Some("-69")
        );
        assert_eq!(
            level(Some(9.2)).map(|level| level.to_string()).as_deref(),
            Some("9.2")
        );
    }
}
