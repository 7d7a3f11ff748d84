//! Step 2: what the device's driver makes of the payload. It never fails the uplink: what goes wrong
//! is told as an event of the device.

use serde_json::{Map, Value, json};

use super::{
    networks::Uplink,
    routes::{DeviceRoute, DriverRoute, DriverVersion},
};
use crate::{
    clock::Time,
    driver::{self, DecodeCall, DriverError, DriverErrorKind},
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
    if let DriverRoute::Missing(reference) = &device.driver {
        let message = format!("there is no driver {reference}");
        let failure = json!({"kind": "missing", "message": message, "line": null});
        return failed(&message, failure, &[]);
    }
    let Some(payload) = uplink.payload.clone() else {
        return nothing;
    };
    let decoded = match &device.driver {
        DriverRoute::None | DriverRoute::Missing(_) => return nothing,
        DriverRoute::BuiltIn(driver) => driver.decode(&payload).map(|data| driver::Decoded {
            data,
            warnings: Vec::new(),
            logs: Vec::new(),
            cpu_time_us: 0,
        }),
        DriverRoute::Version(version) => {
            let called = drivers.decode(DecodeCall {
                script: version.script.clone(),
                payload,
                f_port: uplink.f_port,
                received_at: uplink.time.unwrap_or(received_at),
            });
            called.await.and_then(|decoded| obedient(version, decoded))
        }
    };
    match decoded {
        Ok(decoded) => {
            let data = decoded
                .data
                .into_iter()
                .map(|(key, value)| (without_nul_text(key), without_nul(value)));
            let warned = !decoded.warnings.is_empty();
            Decoded {
                data: Some(data.collect()),
                failure: None,
                events: warned
                    .then(|| warning(&decoded.warnings, &decoded.logs))
                    .into_iter()
                    .collect(),
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

/// Data that break the driver's schema are not taken; the error names the property. The payload is
/// kept, so nothing is lost.
fn obedient(
    version: &DriverVersion,
    decoded: driver::Decoded,
) -> Result<driver::Decoded, DriverError> {
    let checked = match &version.schema {
        Some(schema) => schema.check(&decoded.data),
        None => Ok(()),
    };
    match checked {
        Ok(()) => Ok(decoded),
        Err(violation) => Err(DriverError {
            kind: DriverErrorKind::Schema,
            message: violation.to_string(),
            line: None,
            logs: decoded.logs,
        }),
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
