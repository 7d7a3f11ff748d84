//! Decodes payloads with the device's driver. A failure of the driver never rejects the uplink, but is
//! recorded as an event of the device.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tracing::{Instrument, Span};

use super::{
    decoded::{Decoded, Taken, failure},
    output::{self, Returned, Times},
    version::{Decoding, DriverRoute, DriverVersion},
};
use crate::{
    clock::{Plausible, Time},
    driver::{self, BuiltIn, DecodeCall, DriverError, DriverErrorKind, schema::Schema},
    error::{Error, Result},
    id::TenantId,
    networks::Uplink,
    traces,
};

/// Input of a driver.
pub struct Given<'a> {
    /// Payload of the uplink.
    pub payload: Bytes,
    /// LoRaWAN port.
    pub f_port: Option<u8>,
    /// Time of the uplink.
    pub time: Time,
    /// Time at which the hub received the uplink.
    pub received_at: Time,
    /// Driver state of the device.
    pub state: Option<&'a Map<String, Value>>,
}

/// One run of a driver on one payload.
pub struct Run {
    /// Validated result of the driver.
    pub outcome: Result<Taken, DriverError>,
    /// Complete return value of the driver's function, if requested.
    pub result: Option<Value>,
    /// CPU time in microseconds.
    pub cpu_time_us: u64,
    /// Peak memory in bytes, if known.
    pub memory_peak_bytes: Option<usize>,
}

/// Decoder with its limits.
pub struct Decoder {
    /// Driver host.
    pub drivers: driver::Host,
    /// Maximum size of a device's driver state, in bytes of JSON.
    pub state_bytes_max: usize,
    /// Range of the times that drivers may return.
    pub plausible: Plausible,
}

impl Decoder {
    /// Decodes an uplink. `state` is passed to drivers that keep a state. A frame without application data
    /// is not decoded, because a driver would return a measurement that does not exist. Fails only if too
    /// many drivers are queued; the sender should then send the uplink again.
    pub async fn decode(
        &self,
        tenant: TenantId,
        route: &DriverRoute,
        uplink: &Uplink,
        received_at: Time,
        state: Option<&Map<String, Value>>,
    ) -> Result<Decoded> {
        if !uplink.carries_data() {
            return Ok(Decoded::default());
        }
        if let DriverRoute::Missing(reference) = route {
            let message = format!("there is no driver {reference}");
            let failure = json!({"kind": "missing", "message": message, "line": null});
            return Ok(Decoded::failed(&message, failure, &[]));
        }
        let driver = route.decoding();
        let (Some(driver), Some(payload)) = (driver, uplink.payload.clone()) else {
            return Ok(Decoded::default());
        };
        let given = Given {
            payload,
            f_port: uplink.f_port,
            time: uplink.time.unwrap_or(received_at),
            received_at,
            state,
        };
        // Boxed because uplinks without a driver should not pay for the size of this future.
        let span = traces::driver("decode", route);
        let running = self.run(tenant, driver, given, false);
        let run = Box::pin(running.instrument(span.clone())).await;
        trace(&span, run.outcome.as_ref().err());
        match run.outcome {
            Ok(taken) => Ok(taken.into()),
            Err(error) => {
                not_overloaded(&error)?;
                let failure = failure(&error);
                Ok(Decoded::failed(&error.at_line(), failure, &error.logs))
            }
        }
    }

    /// Runs a driver on a payload. If `whole` is set, also returns the complete return value of its
    /// function.
    pub async fn run(
        &self,
        tenant: TenantId,
        driver: Decoding,
        given: Given<'_>,
        whole: bool,
    ) -> Run {
        let Given {
            payload,
            f_port,
            time,
            received_at,
            state,
        } = given;
        let version = match driver {
            Decoding::BuiltIn(driver) => return Run::built_in(driver, &payload, whole),
            Decoding::Version(version) => version,
        };
        let called = self.drivers.decode(DecodeCall {
            tenant: tenant.0,
            script: version.script.clone(),
            payload,
            f_port,
            received_at: time,
            state: state.map(|state| Value::Object(state.clone()).to_string()),
            whole,
        });
        match called.await {
            Ok(mut decoded) => Run {
                result: decoded.result.take(),
                cpu_time_us: decoded.cpu_time_us,
                memory_peak_bytes: Some(decoded.memory_peak_bytes),
                outcome: self.take(&version, decoded, time, received_at),
            },
            Err(error) => Run::failed(error),
        }
    }

    /// Validates the result of a driver. A rejected result becomes an event that names the property or the
    /// limit; the payload is stored anyway, so nothing is lost.
    fn take(
        &self,
        version: &DriverVersion,
        decoded: driver::Decoded,
        time: Time,
        received_at: Time,
    ) -> Result<Taken, DriverError> {
        let driver::Decoded {
            data,
            new_state,
            mut warnings,
            logs,
            result: _,
            cpu_time_us,
            memory_peak_bytes: _,
        } = decoded;
        let reported = (data, new_state);
        let times = Times {
            uplink: time,
            plausible: self.plausible,
            now: received_at,
        };
        match admit(
            version.schema.as_deref(),
            self.state_bytes_max,
            reported,
            &times,
        ) {
            Ok((returned, of_times)) => {
                warnings.extend(of_times);
                Ok(Taken {
                    returned,
                    warnings,
                    logs,
                })
            }
            Err((kind, message)) => Err(DriverError {
                kind,
                message,
                line: None,
                logs,
                cpu_time_us,
            }),
        }
    }
}

/// Returns the result of a driver with its warnings, if it conforms to the schema and the state is not
/// too large.
fn admit(
    schema: Option<&Schema>,
    state_bytes_max: usize,
    (data, new_state): (Map<String, Value>, Option<Map<String, Value>>),
    times: &Times,
) -> Result<(Returned, Vec<String>), (DriverErrorKind, String)> {
    let (mut returned, warnings) =
        output::read(data, times).map_err(|message| (DriverErrorKind::BadResult, message))?;
    if new_state.is_some() {
        *returned.new_state() = new_state;
    }
    let broken = schema.and_then(|schema| match &returned {
        Returned::Plain { fields, .. } => schema.check(fields).err().map(|v| v.to_string()),
        Returned::Own { updates, .. } => updates.iter().enumerate().find_map(|(index, update)| {
            let violation = schema.check(&update.values).err()?;
            Some(format!("updates.{index}.values.{violation}"))
        }),
    });
    if let Some(message) = broken {
        return Err((DriverErrorKind::Schema, message));
    }
    if let Some(state) = returned.new_state() {
        let size = serde_json::to_vec(state).map_or(usize::MAX, |json| json.len());
        if size > state_bytes_max {
            return Err((
                DriverErrorKind::State,
                format!(
                    "new_state: limit of {state_bytes_max} bytes of state exceeded: it has {size}"
                ),
            ));
        }
    }
    Ok((returned, warnings))
}

impl Run {
    fn built_in(driver: BuiltIn, payload: &[u8], whole: bool) -> Self {
        let decoded = driver.decode(payload);
        let data = decoded.as_ref().ok().filter(|_| whole);
        Self {
            result: data.cloned().map(Value::Object),
            cpu_time_us: 0,
            memory_peak_bytes: None,
            outcome: decoded.map(|data| Taken {
                returned: Returned::Plain {
                    fields: data,
                    new_state: None,
                },
                warnings: Vec::new(),
                logs: Vec::new(),
            }),
        }
    }

    fn failed(error: DriverError) -> Self {
        Self {
            result: None,
            cpu_time_us: error.cpu_time_us,
            memory_peak_bytes: None,
            outcome: Err(error),
        }
    }
}

/// Records the outcome of a driver's call in its span.
pub(super) fn trace(span: &Span, error: Option<&DriverError>) {
    let outcome = error.map_or("ok", |error| error.kind.as_str());
    traces::end(span, outcome, None, error.is_some());
}

/// Fails if the driver did not run because too many were queued: the sender should send the uplink
/// again. If there is no worker, the uplink is recorded, because it is unknown when there will be one.
pub fn not_overloaded(error: &DriverError) -> Result<()> {
    match error.kind {
        DriverErrorKind::Overloaded => {
            Err(Error::overloaded("too many drivers are waiting to run"))
        }
        _ => Ok(()),
    }
}

/// Fails if the driver did not run at all, for callers that have nothing to record.
pub fn was_run(error: &DriverError) -> Result<()> {
    match error.kind {
        DriverErrorKind::Unavailable => Err(Error::silent("no driver worker can be started now")),
        _ => not_overloaded(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::members;

    fn admitted(
        schema: &str,
        state_bytes_max: usize,
        data: Value,
    ) -> Result<Returned, (DriverErrorKind, String)> {
        let schema = Schema::parse(schema).unwrap();
        let time = "2026-01-31T12:00:00Z".parse().unwrap();
        let times = Times {
            uplink: time,
            plausible: Plausible {
                ahead_max: chrono::TimeDelta::minutes(5),
            },
            now: time,
        };
        let admitted = admit(
            Some(&schema),
            state_bytes_max,
            (members(data), None),
            &times,
        );
        admitted.map(|(returned, _)| returned)
    }

    #[test]
    fn a_violation_names_the_property() {
        let schema = "version: 2\nproperties: {door: {opened: {type: bool}}}";
        let refused = |data: Value| admitted(schema, 100, data).unwrap_err();
        assert!(admitted(schema, 100, json!({"door": {"opened": true}})).is_ok());
        assert_eq!(
            refused(json!({"door": {"opened": 1}})),
            (
                DriverErrorKind::Schema,
                "door.opened: must be true or false (bool), and is a number".to_owned()
            )
        );
        let updates = json!({"new_state": {"free": 1}, "updates": [
            {"values": {"door": {"opened": false}}}, {"values": {"dor": {}}}]});
        assert_eq!(
            refused(updates).1,
            "updates.1.values.dor: is not in the driver's schema"
        );
    }

    #[test]
    fn a_state_is_bounded_to_the_byte() {
        let state = json!({"new_state": {"text": "x".repeat(10)}});
        let open = "properties: {}";
        let size = r#"{"text":"xxxxxxxxxx"}"#.len();
        assert!(admitted(open, size, state.clone()).is_ok());
        let (kind, message) = admitted(open, size - 1, state).unwrap_err();
        assert_eq!(kind, DriverErrorKind::State);
        assert_eq!(
            message,
            "new_state: limit of 20 bytes of state exceeded: it has 21"
        );
    }
}
