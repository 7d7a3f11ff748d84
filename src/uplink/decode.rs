//! Step 2: what the device's driver makes of the payload. It never fails the uplink: what goes wrong
//! is told as an event of the device.

use serde_json::{Map, Value, json};

use super::{
    networks::Uplink,
    routes::{DeviceRoute, DriverRoute},
};
use crate::{
    clock::Time,
    driver::{self, DecodeCall},
    store::{members, record::NewEvent},
};

/// Lines of a driver's log that an event keeps.
const LOG_LINES_MAX: usize = 100;

/// What came of decoding.
pub struct Decoded {
    /// The fields; `None` when there is no driver, no payload, or a failure.
    pub data: Option<Map<String, Value>>,
    /// Why there are none, for a person and for a program.
    pub failure: Option<(String, Value)>,
    /// What to tell of the device.
    pub events: Vec<NewEvent>,
}

/// Decodes an uplink.
pub async fn decode(
    drivers: &driver::Host,
    device: &DeviceRoute,
    uplink: &Uplink,
    received_at: Time,
) -> Decoded {
    let nothing = Decoded {
        data: None,
        failure: None,
        events: Vec::new(),
    };
    let script = match &device.driver {
        DriverRoute::None => return nothing,
        DriverRoute::Missing(reference) => {
            let message = format!("there is no driver {reference}");
            return failed(
                &message,
                json!({"kind": "missing", "message": message, "line": null}),
                &[],
            );
        }
        DriverRoute::Script(script) => script.clone(),
    };
    let Some(payload) = uplink.payload.clone() else {
        return nothing;
    };
    let received_at = uplink.time.unwrap_or(received_at);
    match drivers
        .decode(DecodeCall {
            script,
            payload,
            f_port: uplink.f_port,
            received_at,
        })
        .await
    {
        Ok(decoded) => {
            let data = decoded
                .data
                .into_iter()
                .map(|(key, value)| (without_nul_text(key), without_nul(value)));
            let event = match (&decoded.warnings[..], &decoded.logs[..]) {
                ([], []) => None,
                ([], logs) => Some(logged(logs)),
                (warnings, logs) => Some(warning(warnings, logs)),
            };
            Decoded {
                data: Some(data.collect()),
                failure: None,
                events: event.into_iter().collect(),
            }
        }
        Err(error) => {
            let failure = json!({
                "kind": error.kind.as_str(),
                "message": without_nul_text(error.message.clone()),
                "line": error.line,
            });
            failed(&error.at_line(), failure, &error.logs)
        }
    }
}

fn failed(message: &str, failure: Value, logs: &[String]) -> Decoded {
    let mut details = failure.clone();
    if let Value::Object(details) = &mut details {
        details.insert("logs".to_owned(), kept(logs));
    }
    let event = NewEvent {
        kind: "driver_failed",
        message: without_nul_text(message.to_owned()),
        details: members(details),
    };
    Decoded {
        data: None,
        failure: Some((message.to_owned(), failure)),
        events: vec![event],
    }
}

fn warning(warnings: &[String], logs: &[String]) -> NewEvent {
    NewEvent {
        kind: "driver_warning",
        message: without_nul_text(warnings.join("; ")),
        details: members(json!({"warnings": kept(warnings), "logs": kept(logs)})),
    }
}

/// A driver that only talks.
fn logged(logs: &[String]) -> NewEvent {
    NewEvent {
        kind: "driver_logged",
        message: without_nul_text(logs.first().cloned().unwrap_or_default()),
        details: members(json!({"logs": kept(logs)})),
    }
}

fn kept(lines: &[String]) -> Value {
    lines
        .iter()
        .take(LOG_LINES_MAX)
        .map(|line| without_nul_text(line.clone()))
        .collect()
}

/// PostgreSQL cannot store NUL; the replacement character shows that something was there.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_nul_text(text)),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(object) => object
            .into_iter()
            .map(|(key, value)| (without_nul_text(key), without_nul(value)))
            .collect(),
        other => other,
    }
}

fn without_nul_text(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}
