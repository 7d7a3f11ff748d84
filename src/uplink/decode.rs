//! Step 2: what the device's driver makes of the payload. It never fails the uplink: what goes wrong
//! is told as an event of the device.

use serde_json::{Map, Value, json};

use super::{
    networks::Uplink,
    returned::{self, Returned, Update},
    routes::{DeviceRoute, DriverRoute, DriverVersion},
};
use crate::{
    clock::Time,
    driver::{self, DecodeCall, DriverError, DriverErrorKind},
    id::TenantId,
    store::{members, record::NewEvent},
};

/// Lines of a driver's log that an event keeps.
const LOG_LINES_MAX: usize = 100;

/// What came of decoding.
pub struct Decoded {
    /// The fields; `None` when there is no driver, no payload, or a failure.
    pub data: Option<Map<String, Value>>,
    /// The values of each time, where the driver told of several.
    pub updates: Option<Vec<Update>>,
    /// The device's state from now on, where the driver keeps one.
    pub new_state: Option<Map<String, Value>>,
    /// Why there are none, for a person and for a program.
    pub failure: Option<(String, Value)>,
    /// What to tell of the device.
    pub events: Vec<NewEvent>,
}

/// What decodes, and how much of a device it may keep.
pub struct Decoder {
    /// The driver host.
    pub drivers: driver::Host,
    /// The largest state of a device, in bytes of JSON.
    pub state_bytes_max: usize,
}

impl Decoder {
    /// Decodes an uplink; a driver that keeps a state gets `state`.
    pub async fn decode(
        &self,
        tenant: TenantId,
        device: &DeviceRoute,
        uplink: &Uplink,
        received_at: Time,
        state: Option<&Map<String, Value>>,
    ) -> Decoded {
        let nothing = Decoded {
            data: None,
            updates: None,
            new_state: None,
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
        let time = uplink.time.unwrap_or(received_at);
        let decoded = match &device.driver {
            DriverRoute::None | DriverRoute::Missing(_) => return nothing,
            DriverRoute::BuiltIn(driver) => driver.decode(&payload).map(|data| Taken {
                returned: Returned::Plain(data),
                warnings: Vec::new(),
                logs: Vec::new(),
            }),
            DriverRoute::Version(version) => {
                let called = self.drivers.decode(DecodeCall {
                    tenant: tenant.0,
                    script: version.script.clone(),
                    payload,
                    f_port: uplink.f_port,
                    received_at: time,
                    state: state.map(|state| Value::Object(state.clone()).to_string()),
                });
                let called = called.await;
                called.and_then(|decoded| self.take(version, decoded, time))
            }
        };
        match decoded {
            Ok(taken) => taken.into(),
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

    /// What the driver returned, if it may be taken. What is refused is an event that names the
    /// property or the limit; the payload is kept, so nothing is lost.
    fn take(
        &self,
        version: &DriverVersion,
        decoded: driver::Decoded,
        time: Time,
    ) -> Result<Taken, DriverError> {
        let driver::Decoded {
            data,
            warnings,
            logs,
            cpu_time_us,
        } = decoded;
        match self.check(version, data, time) {
            Ok(returned) => Ok(Taken {
                returned,
                warnings,
                logs,
            }),
            Err((kind, message)) => Err(DriverError {
                kind,
                message,
                line: None,
                logs,
                cpu_time_us,
            }),
        }
    }

    fn check(
        &self,
        version: &DriverVersion,
        data: Map<String, Value>,
        time: Time,
    ) -> Result<Returned, (DriverErrorKind, String)> {
        let returned =
            returned::read(data, time).map_err(|message| (DriverErrorKind::BadResult, message))?;
        if let Some(schema) = &version.schema {
            let broken = match &returned {
                Returned::Plain(fields) => schema.check(fields).err().map(|v| v.to_string()),
                Returned::Own { updates, .. } => {
                    updates.iter().enumerate().find_map(|(index, update)| {
                        let violation = schema.check(&update.values).err()?;
                        Some(format!("updates.{index}.values.{violation}"))
                    })
                }
            };
            if let Some(message) = broken {
                return Err((DriverErrorKind::Schema, message));
            }
        }
        if let Returned::Own {
            new_state: Some(state),
            ..
        } = &returned
        {
            let size = serde_json::to_vec(state).map_or(usize::MAX, |json| json.len());
            if size > self.state_bytes_max {
                let max = self.state_bytes_max;
                let message =
                    format!("new_state: limit of {max} bytes of state exceeded: it has {size}");
                return Err((DriverErrorKind::State, message));
            }
        }
        Ok(returned)
    }
}

/// What a driver returned, with what it told beside.
struct Taken {
    returned: Returned,
    warnings: Vec<String>,
    logs: Vec<String>,
}

impl From<Taken> for Decoded {
    fn from(taken: Taken) -> Self {
        let (data, updates, new_state) = match taken.returned {
            Returned::Plain(data) => (members_without_nul(data), None, None),
            Returned::Own { new_state, updates } => {
                let updates: Vec<_> = updates
                    .into_iter()
                    .map(|update| Update {
                        values: members_without_nul(update.values),
                        ..update
                    })
                    .collect();
                let new_state = new_state.map(members_without_nul);
                (returned::merged(&updates), Some(updates), new_state)
            }
        };
        let event = match (&taken.warnings[..], &taken.logs[..]) {
            ([], []) => None,
            ([], logs) => Some(logged(logs)),
            (warnings, logs) => Some(warning(warnings, logs)),
        };
        Self {
            data: Some(data),
            updates,
            new_state,
            failure: None,
            events: event.into_iter().collect(),
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
        updates: None,
        new_state: None,
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

fn members_without_nul(members: Map<String, Value>) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(key, value)| (without_nul_text(key), without_nul(value)))
        .collect()
}

/// PostgreSQL cannot store NUL; the replacement character shows that something was there.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_nul_text(text)),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(object) => Value::Object(members_without_nul(object)),
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
