//! The native output format: the one form in which integrations hand an uplink on.
//!
//! It is the format of SmartMakers' thingsHub, so that whatever reads that hub's output today reads
//! ours. Invariant: every key of that format is always there, in its order and with its type (null
//! where a value is not known). We add `data`, the decoded fields, and, only where there is one,
//! `error`, why the driver failed, or `updates`, the values of each time that it told of.

use chrono::{DateTime, Utc};
use serde_json::{Map, Number, Value, json};

use crate::networks::{Reception, Uplink};

/// What one output is made of. Nothing is checked or cut here: all of it was, on the way in.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// What was received.
    pub uplink: &'a Uplink,
    /// When the hub received it.
    pub received_at: DateTime<Utc>,
    /// The device that it belongs to.
    pub device: Device<'a>,
    /// What the device's driver made of it.
    pub decoded: Decoded<'a>,
}

/// The device, as it stands after this uplink.
#[derive(Clone, Debug)]
pub struct Device<'a> {
    /// Its id in the hub.
    pub id: &'a str,
    /// Its name; may be empty.
    pub name: &'a str,
    /// Its driver, `author/name:tag`; empty when it has none.
    pub driver: &'a str,
    /// Its labels; none is written as null, as the format has it.
    pub labels: &'a [String],
    /// The state that somebody asked for.
    pub desired_state: &'a Map<String, Value>,
    /// The state that the device reported.
    pub reported_state: &'a Map<String, Value>,
    /// Where it is connected.
    pub connections: &'a [Connection<'a>],
}

/// A device's place in one network.
#[derive(Clone, Debug)]
pub struct Connection<'a> {
    /// The network connection's id in the hub.
    pub network_connection_id: i64,
    /// The network connection's name.
    pub network_connection_name: &'a str,
    /// The device's id in that network, such as its DevEUI.
    pub network_device_id: &'a str,
}

/// How decoding went.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    /// The device has no driver.
    NoDriver,
    /// The decoded fields.
    Fields(&'a Map<String, Value>),
    /// The latest fields, and the values of each time, as the driver told them.
    Updates(&'a Map<String, Value>, &'a Value),
    /// The driver failed, with this text for its author.
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
        // The hub's own where the network's cannot be true.
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

/// A signal level; a whole one without a fraction (`-69`, not `-69.0`), as the format has it.
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

/// UTC with as many digits of the second as there are, as Go writes it and the format has it.
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
        // As text, so that the order of the keys counts too.
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
