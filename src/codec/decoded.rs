//! Recorded result of a run of a driver: fields, updates, state, and the events that tell of failures, warnings and
//! log lines. None of it has a NUL, which PostgreSQL cannot store.

use serde_json::{Map, Value, json};

use super::output::{self, Returned, Update};
use crate::{
    driver::{DriverError, LINES_LEFT_OUT},
    store::{live::events::NewEvent, members},
};

/// Maximum number of log lines of a driver that an event stores, beside the one that says so if there were more.
const LOG_LINES_MAX: usize = 100;

/// Result of decoding an uplink; nothing by default.
#[derive(Default)]
pub struct Decoded {
    /// Decoded fields; `None` without a driver, without a payload, or after a failure.
    pub data: Option<Map<String, Value>>,
    /// Values with their own times, if the driver returned several.
    pub updates: Option<Vec<Update>>,
    /// New driver state of the device, if the driver keeps one.
    pub new_state: Option<Map<String, Value>>,
    /// Failure of the driver: the message for display, and the JSON that is stored.
    pub failure: Option<(String, Value)>,
    /// Events of the device to record.
    pub events: Vec<NewEvent>,
}

/// Validated result of a driver, with its warnings and logs.
pub struct Taken {
    /// Fields, updates and state.
    pub returned: Returned,
    /// Warnings of the driver.
    pub warnings: Vec<String>,
    /// Log lines of the driver.
    pub logs: Vec<String>,
}

impl Decoded {
    /// Returns the result of a run that failed.
    pub fn failed(message: &str, failure: Value, logs: &[String]) -> Self {
        let mut details = failure.clone();
        if let Value::Object(details) = &mut details {
            details.insert("logs".to_owned(), kept(logs));
        }
        let event = NewEvent {
            kind: "driver_failed",
            message: without_nul_text(message.to_owned()),
            details: members(details),
        };
        Self {
            failure: Some((message.to_owned(), failure)),
            events: vec![event],
            ..Self::default()
        }
    }
}

impl From<Taken> for Decoded {
    fn from(taken: Taken) -> Self {
        let (data, updates, new_state) = match taken.returned {
            Returned::Plain { fields, new_state } => (
                members_without_nul(fields),
                None,
                new_state.map(members_without_nul),
            ),
            Returned::Own { new_state, updates } => {
                let updates: Vec<_> = updates
                    .into_iter()
                    .map(|update| Update {
                        values: members_without_nul(update.values),
                        ..update
                    })
                    .collect();
                let new_state = new_state.map(members_without_nul);
                (output::merged(&updates), Some(updates), new_state)
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

/// Returns the failure as it is stored with an uplink and shown to users.
pub fn failure(error: &DriverError) -> Value {
    json!({
        "kind": error.kind.as_str(),
        "message": without_nul_text(error.message.clone()),
        "line": error.line,
    })
}

fn warning(warnings: &[String], logs: &[String]) -> NewEvent {
    NewEvent {
        kind: "driver_warning",
        message: without_nul_text(warnings.join("; ")),
        details: members(json!({"warnings": kept(warnings), "logs": kept(logs)})),
    }
}

/// Returns the event for a driver that wrote log lines without warnings.
fn logged(logs: &[String]) -> NewEvent {
    NewEvent {
        kind: "driver_logged",
        message: without_nul_text(logs.first().cloned().unwrap_or_default()),
        details: members(json!({"logs": kept(logs)})),
    }
}

fn kept(lines: &[String]) -> Value {
    let is_cut = lines.len() > LOG_LINES_MAX;
    let first = lines.iter().take(LOG_LINES_MAX);
    first
        .map(|line| without_nul_text(line.clone()))
        .chain(is_cut.then(|| LINES_LEFT_OUT.to_owned()))
        .collect()
}

fn members_without_nul(members: Map<String, Value>) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(key, value)| (without_nul_text(key), without_nul(value)))
        .collect()
}

/// Replaces NUL, which PostgreSQL cannot store, with the replacement character.
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
