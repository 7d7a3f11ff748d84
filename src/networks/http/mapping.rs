//! Any message in JSON: JSON pointers (RFC 6901) map parts of the body to an uplink.
//!
//! Every error names the pointer, because the author of the mapping must correct it. A mapped part is
//! optional in a message if it is optional in [`Uplink`]: an absent or null member counts as not
//! reported, and a present one must be valid. Pointers resolve through JSON in strings, because some
//! cloud services forward messages in this form.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::networks::{
    device_id::fold_network_device_id,
    event::{Event, News, Radio, Report, Uplink},
    http::pointer::find,
    http::radio::RadioMapping,
    malformed::Malformed,
    read::{
        MAX_PAYLOAD_BYTES, PayloadEncoding, ReportedTime, frame_counter, instant, payload, port,
        unix_time, whole_number,
    },
    uplink::Incoming,
};

/// Maximum length of a JSON pointer, in characters.
pub const MAX_POINTER_CHARS: usize = 200;
/// Maximum length of a device id, in characters.
pub const MAX_DEVICE_ID_CHARS: usize = 100;
/// Maximum number of messages in one list.
const MAX_MESSAGES: usize = 1000;

/// JSON pointers to the parts of an uplink.
///
/// A pointer has at most [`MAX_POINTER_CHARS`] characters. It is empty for the whole body, or has a `/`
/// before each member name or array index, with `~0` for `~` and `~1` for `/` in a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Pointer to the device's id in its network: text of 1-100 printable characters without surrounding
    /// spaces, or a whole number.
    pub device_id_pointer: String,
    /// Pointer to the payload, as text or as a list of bytes. A message without a payload is not an uplink.
    pub payload_pointer: String,
    /// Encoding of the payload if it is text.
    pub payload_encoding: PayloadEncoding,
    /// Pointer to the port, 0-255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_pointer: Option<String>,
    /// Pointer to the time of reception: RFC 3339 text, or Unix time as a number (or numeric text), in
    /// seconds below 10^11 (the year 5138), otherwise in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_pointer: Option<String>,
    /// Pointer to the frame counter, 0-4294967295.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_counter_pointer: Option<String>,
    /// Pointers to the radio metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radio: Option<Box<RadioMapping>>,
}

impl Mapping {
    /// Checks that all pointers are well-formed. Must be called before a mapping is stored.
    ///
    /// # Errors
    /// [`Malformed`] with the setting, such as `mapping.payload_pointer`, as its field.
    pub fn check(&self) -> Result<(), Malformed> {
        let radio = self.radio.iter().flat_map(|radio| radio.pointers());
        let pointers = [
            ("device_id_pointer", Some(&self.device_id_pointer)),
            ("payload_pointer", Some(&self.payload_pointer)),
            ("port_pointer", self.port_pointer.as_ref()),
            ("time_pointer", self.time_pointer.as_ref()),
            ("frame_counter_pointer", self.frame_counter_pointer.as_ref()),
        ];
        let known = |(setting, pointer)| Some((setting, pointer?));
        let pointers = pointers.into_iter().filter_map(known).chain(radio);
        for (setting, pointer) in pointers {
            check_pointer(pointer)
                .map_err(|rule| Malformed::new(format!("mapping.{setting}"), rule))?;
        }
        Ok(())
    }

    /// Splits a list into its items if every pointer leads into the first item.
    ///
    /// # Errors
    /// [`Malformed`] if there are too many messages.
    pub fn split(&self, body: Value) -> Result<Vec<Value>, Malformed> {
        match body {
            Value::Array(items) if items.len() > 1 && self.leads_into_first_item() => {
                if items.len() > MAX_MESSAGES {
                    let rule = format!("must hold at most {MAX_MESSAGES} messages");
                    return Err(Malformed::new("body", rule));
                }
                let alone = |item| Value::Array(vec![item]);
                Ok(items.into_iter().map(alone).collect())
            }
            body => Ok(vec![body]),
        }
    }

    /// Parses one message.
    ///
    /// # Errors
    /// [`Malformed`] that names the pointer to the first invalid part.
    pub fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        let body = incoming.body;
        let time = |value: &Value| instant(value).or_else(|| unix_time(value));
        let reported = self.time_pointer.as_deref();
        let reported = reported.and_then(|pointer| find(body, pointer));
        let reported = ReportedTime::first([reported.as_deref()], time);
        // A message without a payload is not an uplink, but a join, an acknowledgement, or a cloud service's
        // request to confirm the webhook.
        let Some(sent) = find(body, &self.payload_pointer) else {
            let kind = crate::networks::event::UNNAMED.to_owned();
            let device = device_id(body, &self.device_id_pointer).ok();
            return Ok(Event::News(News {
                time: reported.time,
                ..News::new(device, Report::Other { kind })
            }));
        };
        let uplink = Uplink {
            network_device_id: device_id(body, &self.device_id_pointer)?,
            f_port: optional(body, self.port_pointer.as_deref(), port)?,
            f_cnt: optional(body, self.frame_counter_pointer.as_deref(), frame_counter)?,
            payload: Some(self.payload(&sent)?),
            radio: self
                .radio
                .as_ref()
                .map_or_else(Radio::default, |radio| radio.read(body)),
            ..Uplink::default()
        };
        Ok(Event::uplink(uplink.heard_at(reported)))
    }

    fn leads_into_first_item(&self) -> bool {
        let required = [&self.device_id_pointer, &self.payload_pointer];
        let optional = [
            &self.port_pointer,
            &self.time_pointer,
            &self.frame_counter_pointer,
        ];
        let radio = self.radio.iter().flat_map(|radio| radio.body_pointers());
        let optional = optional.into_iter().flatten();
        let mut pointers = required.into_iter().chain(optional).chain(radio);
        pointers.all(|pointer| pointer == "/0" || pointer.starts_with("/0/"))
    }

    fn payload(&self, sent: &Value) -> Result<Bytes, Malformed> {
        let field = name(&self.payload_pointer);
        let is_json = self.payload_pointer.is_empty() && sent.is_object();
        if is_json || self.payload_encoding == PayloadEncoding::Json {
            return json_payload(sent, field);
        }
        match list_of_bytes(sent) {
            Some(bytes) => bounded(bytes, field),
            None => payload(sent, self.payload_encoding, field),
        }
    }
}

/// Returns a JSON payload for drivers that read JSON: text is used as it is, any other value is
/// serialised.
fn json_payload(sent: &Value, field: &str) -> Result<Bytes, Malformed> {
    match sent {
        Value::String(text) => bounded(text.clone().into_bytes(), field),
        other => bounded(other.to_string().into_bytes(), field),
    }
}

/// Returns the bytes of a list such as `[1, 2]`, which may be encoded in a string.
fn list_of_bytes(sent: &Value) -> Option<Vec<u8>> {
    let byte = |value: &Value| u8::try_from(whole_number(value)?).ok();
    match sent {
        Value::Array(items) => items.iter().map(byte).collect(),
        Value::String(text) if text.trim_start().starts_with('[') => {
            let items: Vec<Value> = serde_json::from_str(text).ok()?;
            items.iter().map(byte).collect()
        }
        _ => None,
    }
}

fn bounded(bytes: Vec<u8>, field: &str) -> Result<Bytes, Malformed> {
    if bytes.len() > MAX_PAYLOAD_BYTES {
        let rule = format!("must hold at most {MAX_PAYLOAD_BYTES} bytes");
        return Err(Malformed::new(field, rule));
    }
    Ok(bytes.into())
}

fn check_pointer(pointer: &str) -> Result<(), String> {
    if pointer.chars().nth(MAX_POINTER_CHARS).is_some() {
        return Err(format!("must have at most {MAX_POINTER_CHARS} characters"));
    }
    if pointer.contains(|c: char| c.is_ascii_control()) {
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

/// Returns the name of a pointer for error messages; an empty pointer would be invisible.
fn name(pointer: &str) -> &str {
    if pointer.is_empty() {
        "(the whole body)"
    } else {
        pointer
    }
}

fn required<'v>(body: &'v Value, pointer: &str, what: &str) -> Result<Cow<'v, Value>, Malformed> {
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
        .map(|value| read(&value, name(pointer)))
        .transpose()
}

fn device_id(body: &Value, pointer: &str) -> Result<String, Malformed> {
    let id = match &*required(body, pointer, "the device's id")? {
        Value::String(id) if is_device_id(id) => Some(id.clone()),
        // Fractions are rejected because the same number can be written in several ways.
        Value::Number(id) if !id.is_f64() => Some(id.to_string()),
        _ => None,
    };
    let rule = || {
        format!(
            "must be text of 1-{MAX_DEVICE_ID_CHARS} printable characters without outer spaces, \
             or a whole number"
        )
    };
    let id = id.map(|id| fold_network_device_id(&id));
    id.ok_or_else(|| Malformed::new(name(pointer), rule()))
}

fn is_device_id(id: &str) -> bool {
    (1..=MAX_DEVICE_ID_CHARS).contains(&id.chars().count())
        && id.trim().len() == id.len()
        && !id.contains(char::is_control)
}

#[cfg(test)]
mod tests;
