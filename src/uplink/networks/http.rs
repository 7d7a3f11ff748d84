//! Any server that posts JSON: a mapping of JSON pointers (RFC 6901) says where in the body each
//! part of an uplink stands.
//!
//! Every fault names the pointer, for it is the person who wrote the mapping who must mend it. A
//! part that a mapping names is optional in a message where [`Uplink`] has it optional: a member
//! that is absent or null is then "not told", while one that is there must be right.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Event, Incoming, Malformed, Network, PayloadEncoding, Uplink,
    read::{frame_counter, instant, payload, port, unix_time},
};

/// Longest JSON pointer, in characters.
pub const MAX_POINTER_CHARS: usize = 200;
/// Longest device id, in characters.
pub const MAX_DEVICE_ID_CHARS: usize = 100;

/// Where the parts of an uplink stand in a body. It is both the settings and the adapter.
///
/// A pointer is at most [`MAX_POINTER_CHARS`] characters: empty for the whole body, or `/` before
/// each member name or array index, with `~0` for `~` and `~1` for `/` in a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpMapping {
    /// The device's id in its network: text of 1-100 printable characters without outer spaces,
    /// or a whole number.
    pub device_id_pointer: String,
    /// The payload, as text.
    pub payload_pointer: String,
    /// How that text holds the payload's bytes.
    pub payload_encoding: PayloadEncoding,
    /// The port, 0-255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_pointer: Option<String>,
    /// The time of reception: RFC 3339 text, or Unix time as a number (or numeric text), in
    /// seconds below 10^11 (the year 5138), else in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_pointer: Option<String>,
    /// The frame counter, 0-4294967295.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_counter_pointer: Option<String>,
}

impl HttpMapping {
    /// Whether all pointers are well-formed: call it before storing a mapping.
    ///
    /// # Errors
    /// [`Malformed`] whose field is the setting, such as `payload_pointer`.
    pub fn check(&self) -> Result<(), Malformed> {
        let pointers = [
            ("device_id_pointer", Some(&self.device_id_pointer)),
            ("payload_pointer", Some(&self.payload_pointer)),
            ("port_pointer", self.port_pointer.as_ref()),
            ("time_pointer", self.time_pointer.as_ref()),
            ("frame_counter_pointer", self.frame_counter_pointer.as_ref()),
        ];
        for (setting, pointer) in pointers {
            if let Some(Err(rule)) = pointer.map(|pointer| check_pointer(pointer)) {
                return Err(Malformed::new(setting, rule));
            }
        }
        Ok(())
    }
}

impl Network for HttpMapping {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = incoming.body;
        Ok(Event::Uplink(Uplink {
            network_device_id: device_id(body, &self.device_id_pointer)?,
            f_port: optional(body, self.port_pointer.as_deref(), port)?,
            f_cnt: optional(body, self.frame_counter_pointer.as_deref(), frame_counter)?,
            payload: Some(payload(
                required(body, &self.payload_pointer, "the payload")?,
                self.payload_encoding,
                name(&self.payload_pointer),
            )?),
            time: optional(body, self.time_pointer.as_deref(), time)?,
            ..Uplink::default()
        }))
    }
}

fn check_pointer(pointer: &str) -> Result<(), String> {
    if pointer.chars().nth(MAX_POINTER_CHARS).is_some() {
        return Err(format!("must have at most {MAX_POINTER_CHARS} characters"));
    }
    if pointer.contains(char::is_control) {
        return Err("must hold no control characters".to_owned());
    }
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err("must be empty or start with \"/\"".to_owned());
    }
    if pointer
        .split('~')
        .skip(1)
        .any(|rest| !rest.starts_with(['0', '1']))
    {
        return Err("must hold \"~\" only as \"~0\" (for \"~\") or \"~1\" (for \"/\")".to_owned());
    }
    Ok(())
}

/// How a fault names a pointer; the empty one would read as nothing.
fn name(pointer: &str) -> &str {
    if pointer.is_empty() {
        "(the whole body)"
    } else {
        pointer
    }
}

fn find<'v>(body: &'v Value, pointer: &str) -> Option<&'v Value> {
    body.pointer(pointer).filter(|value| !value.is_null())
}

fn required<'v>(body: &'v Value, pointer: &str, what: &str) -> Result<&'v Value, Malformed> {
    let rule = || Malformed::new(name(pointer), format!("is required: {what}"));
    find(body, pointer).ok_or_else(rule)
}

fn optional<T>(
    body: &Value,
    pointer: Option<&str>,
    read: fn(&Value, &str) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    let Some(pointer) = pointer else {
        return Ok(None);
    };
    find(body, pointer)
        .map(|value| read(value, name(pointer)))
        .transpose()
}

fn device_id(body: &Value, pointer: &str) -> Result<String, Malformed> {
    let id = match required(body, pointer, "the device's id")? {
        Value::String(id) if is_device_id(id) => Some(id.clone()),
        // Only whole numbers: a fraction has more than one way to be written.
        Value::Number(id) if !id.is_f64() => Some(id.to_string()),
        _ => None,
    };
    let rule = || {
        format!(
            "must be text of 1-{MAX_DEVICE_ID_CHARS} printable characters without outer spaces, \
             or a whole number"
        )
    };
    id.ok_or_else(|| Malformed::new(name(pointer), rule()))
}

fn is_device_id(id: &str) -> bool {
    (1..=MAX_DEVICE_ID_CHARS).contains(&id.chars().count())
        && id.trim().len() == id.len()
        && !id.contains(char::is_control)
}

fn time(value: &Value, field: &str) -> Result<DateTime<Utc>, Malformed> {
    let rule = "must be an RFC 3339 time or Unix time in seconds or milliseconds, 1970 to 9999";
    instant(value)
        .or_else(|| unix_time(value))
        .ok_or_else(|| Malformed::new(field, rule))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/uplinks/",
                $name
            ))
        };
    }

    fn mapping() -> HttpMapping {
        HttpMapping {
            device_id_pointer: "/id".to_owned(),
            payload_pointer: "/data".to_owned(),
            payload_encoding: PayloadEncoding::Hex,
            port_pointer: Some("/port".to_owned()),
            time_pointer: Some("/at".to_owned()),
            frame_counter_pointer: Some("/count".to_owned()),
        }
    }

    fn read(mapping: &HttpMapping, body: &Value) -> Result<Uplink, String> {
        match mapping.parse(Incoming::of(body)) {
            Ok(Event::Uplink(uplink)) => Ok(uplink),
            Ok(other) => panic!("not an uplink: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn reads_messages_of_other_servers() {
        let payload = Some(Bytes::from_static(
            b"\x01\x75\x64\x03\x67\x18\x01\x04\x68\x6d",
        ));
        let loriot: HttpMapping = serde_json::from_value(json!({
            "device_id_pointer": "/EUI", "payload_pointer": "/data", "payload_encoding": "hex",
            "port_pointer": "/port", "time_pointer": "/ts", "frame_counter_pointer": "/fcnt",
        }))
        .expect("a mapping");
        let chirpstack: HttpMapping = serde_json::from_value(json!({
            "device_id_pointer": "/deviceInfo/devEui", "payload_pointer": "/data",
            "payload_encoding": "base64", "port_pointer": "/fPort", "time_pointer": "/rxInfo/0/time",
            "frame_counter_pointer": "/fCnt",
        }))
        .expect("a mapping");
        for (mapping, sample, f_cnt, time) in [
            (
                loriot,
                sample!("loriot.json"),
                2,
                "2023-05-19T06:46:41.936Z",
            ),
            (
                chirpstack,
                sample!("chirpstack_v4_milesight_am102.json"),
                4,
                "2023-05-22T07:47:05.404859Z",
            ),
        ] {
            assert_eq!(mapping.check(), Ok(()));
            let body = serde_json::from_str(sample).expect("samples are JSON");
            let wanted = Uplink {
                network_device_id: "1000000000000001".to_owned(),
                f_port: Some(85),
                f_cnt: Some(f_cnt),
                payload: payload.clone(),
                time: instant(&json!(time)),
                ..Uplink::default()
            };
            assert_eq!(read(&mapping, &body), Ok(wanted));
        }
    }

    #[test]
    fn reads_what_is_there() {
        let uplink = read(&mapping(), &json!({"id": 1234, "data": "", "port": null}));
        let uplink = uplink.expect("the required parts are there");
        assert_eq!(uplink.network_device_id, "1234");
        assert_eq!(uplink.payload, Some(Bytes::new()));
        assert_eq!(
            (uplink.f_port, uplink.f_cnt, uplink.time),
            (None, None, None)
        );

        let escaped = HttpMapping {
            device_id_pointer: "/a~1b~0/1".to_owned(),
            ..mapping()
        };
        let uplink = read(
            &escaped,
            &json!({"a/b~": ["x", "Tür 7"], "data": "00", "port": "7"}),
        );
        let uplink = uplink.expect("the escapes are RFC 6901's");
        assert_eq!(
            (uplink.network_device_id.as_str(), uplink.f_port),
            ("Tür 7", Some(7))
        );
    }

    #[test]
    fn reads_times_in_all_forms() {
        for (value, wanted) in [
            (
                json!("2024-05-06T09:08:07.123456789+02:00"),
                "2024-05-06T07:08:07.123456Z",
            ),
            (json!(1_512_814_827), "2017-12-09T10:20:27Z"),
            (json!("1512814827000"), "2017-12-09T10:20:27Z"),
            (json!(1_512_814_827_123_u64), "2017-12-09T10:20:27.123Z"),
            (json!(1_512_814_827.25), "2017-12-09T10:20:27.25Z"),
            (json!(0), "1970-01-01T00:00:00Z"),
        ] {
            let read = time(&value, "/at").expect("a time");
            assert_eq!(Some(read), instant(&json!(wanted)), "{value}");
        }
        for value in [
            json!(-1),
            json!(1e15),
            json!("2017-11-29"),
            json!("NaN"),
            json!(true),
        ] {
            assert!(time(&value, "/at").is_err(), "{value}");
        }
    }

    #[test]
    fn faults_name_the_pointer_and_the_rule() {
        let id = "/id: must be text of 1-100 printable characters without outer spaces, or a whole \
                  number";
        let port = "/port: must be a whole number from 0 to 255";
        let body = |name: &str, value: Value| {
            let mut body = json!({"id": "x", "data": ""});
            body[name] = value;
            body
        };
        #[rustfmt::skip]
        let table = [
            (json!("text"), "/id: is required: the device's id"),
            (body("id", Value::Null), "/id: is required: the device's id"),
            (body("id", json!("")), id),
            (body("id", json!(" x")), id),
            (body("id", json!("a\u{0}")), id),
            (body("id", json!("x".repeat(101))), id),
            (body("id", json!(1.5)), id),
            (body("id", json!(true)), id),
            (body("data", Value::Null), "/data: is required: the payload"),
            (body("data", json!(1)), "/data: must be a string"),
            (body("data", json!("0")), "/data: must be hexadecimal: two digits 0-9, a-f for each byte"),
            (body("port", json!(256)), port),
            (body("port", json!("1x")), port),
            (body("count", json!(-1)), "/count: must be a whole number from 0 to 4294967295"),
            (body("at", json!("now")), "/at: must be an RFC 3339 time or Unix time in seconds or milliseconds, 1970 to 9999"),
        ];
        for (body, wanted) in table {
            assert_eq!(read(&mapping(), &body), Err(wanted.to_owned()), "{body}");
        }
        let whole = HttpMapping {
            device_id_pointer: String::new(),
            ..mapping()
        };
        let error = read(&whole, &Value::Null);
        assert_eq!(
            error,
            Err("(the whole body): is required: the device's id".to_owned())
        );
    }

    #[test]
    fn checks_pointers() {
        let tilde = "must hold \"~\" only as \"~0\" (for \"~\") or \"~1\" (for \"/\")";
        for (pointer, wanted) in [
            ("", None),
            ("/", None),
            ("/a/0/~0~1", None),
            ("a", Some("must be empty or start with \"/\"")),
            ("/~", Some(tilde)),
            ("/a~2", Some(tilde)),
            ("/~~0", Some(tilde)),
            ("/a\n", Some("must hold no control characters")),
            (&"/".repeat(201), Some("must have at most 200 characters")),
        ] {
            let mapping = HttpMapping {
                time_pointer: Some(pointer.to_owned()),
                ..mapping()
            };
            let wanted = wanted.map_or(Ok(()), |rule| Err(Malformed::new("time_pointer", rule)));
            assert_eq!(mapping.check(), wanted, "{pointer}");
        }
    }
}
