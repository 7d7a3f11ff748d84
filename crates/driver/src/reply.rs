//! Parses and validates the replies of workers.
//!
//! A driver that has escaped from the interpreter can send arbitrary data. A reply that no genuine worker
//! would send is forged: it is passed to no caller, and its worker is ended.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, value::RawValue};

use super::error::{DriverError, DriverErrorKind};
use super::job::{Answer, Job};
use super::protocol::{Outcome, Task};
use super::request::{Decoded, Returned};
use super::{convert, no_numbers};

/// The result of parsing and validating a reply.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every reply is an answer, and none is kept"
)]
pub enum Read {
    Answer(Result<Answer, DriverError>),
    NeedsScript,
    /// A forged reply, with the reason.
    Forged(&'static str),
}

/// Parses the reply to a call with this cost.
pub fn read(outcome: Outcome, job: &Job, cost_us: u64) -> Read {
    let failed = |error: DriverError, logs: Vec<String>| {
        Err(DriverError {
            logs,
            cpu_time_us: cost_us,
            ..error
        })
    };
    Read::Answer(match (outcome, &job.task) {
        (
            Outcome::Decoded {
                data,
                new_state,
                mut warnings,
                result,
                logs,
                cpu_time_us,
                memory_peak_bytes,
            },
            Task::Decode { state, .. },
        ) => match read_both(&data, new_state.as_deref(), state.as_deref()) {
            Ok((data, new_state, left_out)) => {
                warnings.extend(no_numbers::warnings(left_out));
                Ok(Answer::Decoded(Decoded {
                    data,
                    new_state,
                    warnings,
                    logs,
                    result: result.and_then(|json| parse(json.get()).ok()),
                    cpu_time_us: cpu_time_us.min(cost_us),
                    memory_peak_bytes,
                }))
            }
            Err(error) => failed(error, logs),
        },
        (
            Outcome::Returned {
                result: json,
                logs,
                cpu_time_us,
                memory_peak_bytes,
            },
            Task::Call { .. },
        ) => match parse(&convert::replace_unpaired_surrogates(json.get().to_owned())) {
            Ok(result) => Ok(Answer::Returned(Returned {
                result,
                json,
                logs,
                cpu_time_us: cpu_time_us.min(cost_us),
                memory_peak_bytes,
            })),
            Err(error) => failed(error, logs),
        },
        (Outcome::Checked { names }, Task::Check) => Ok(Answer::Checked(names)),
        (Outcome::Failed(error), _) if is_of_the_host(error.kind) => {
            return Read::Forged("it told of what only the hub can know");
        }
        (Outcome::Failed(error), _) => {
            let logs = error.logs.clone();
            failed(error, logs)
        }
        (Outcome::NeedScript, _) if job.source_sent => {
            return Read::Forged("it asked for a script that it had just been sent");
        }
        (Outcome::NeedScript, _) => return Read::NeedsScript,
        (Outcome::Decoded { .. } | Outcome::Returned { .. } | Outcome::Checked { .. }, _) => {
            return Read::Forged("it answered another question");
        }
    })
}

/// Errors that a worker cannot report.
fn is_of_the_host(kind: DriverErrorKind) -> bool {
    use DriverErrorKind::{Crashed, Overloaded, Payload, Schema, State, Unavailable, WallTime};
    matches!(
        kind,
        Crashed | Overloaded | Payload | Schema | State | Unavailable | WallTime
    )
}

type Fields = Map<String, Value>;

/// Parses the data and the state, and removes values that JSON cannot express. Returns their paths.
fn read_both(
    data: &RawValue,
    new_state: Option<&RawValue>,
    old_state: Option<&str>,
) -> Result<(Fields, Option<Fields>, Vec<String>), DriverError> {
    let mut left_out = Vec::new();
    let mut fields: Fields = parse(data.get())?;
    let mut state: Option<Fields> = new_state.map(|json| parse(json.get())).transpose()?;
    let has_marks = [Some(data), new_state]
        .into_iter()
        .flatten()
        .any(|json| no_numbers::may_be_in(json.get()));
    if has_marks {
        let old: Option<Fields> = old_state.and_then(|json| parse(json).ok());
        // In the hub's own dialect the state is a part of the data.
        let held = old.clone().map(|old| {
            let member = ("new_state".to_owned(), Value::Object(old));
            Fields::from_iter([member])
        });
        no_numbers::take_out(&mut fields, held.as_ref(), "", &mut left_out);
        if let Some(state) = &mut state {
            no_numbers::take_out(state, old.as_ref(), "new_state", &mut left_out);
        }
    }
    Ok((fields, state, left_out))
}

/// Reads a result; nesting beyond what a JSON reader should follow is an error.
fn parse<T: DeserializeOwned>(json: &str) -> Result<T, DriverError> {
    serde_json::from_str(json).map_err(|error| {
        let message = format!("the result cannot be read as JSON: {error}");
        DriverError::new(DriverErrorKind::BadResult, message)
    })
}
