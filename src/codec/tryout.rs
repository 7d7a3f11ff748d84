//! Test runs of drivers on a payload or on data for a device, without side effects.
//!
//! A payload passes through the same steps as an uplink of a device, so the result is the same.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    Codec,
    decode::{self, Given},
    decoded::{self, Decoded},
    output::{Update, texts},
    version::{Decoding, DriverVersion, Statefulness},
};
use crate::{
    clock::{self, Time},
    driver::{
        BuiltIn, DriverError, DriverErrorKind, ENCODERS, Invoke, Returned, Script, is_ts013,
        schema::Schema,
    },
    error::{Error, Result},
    networks::carries_data,
    store::Scope,
};

/// Input of a test run.
pub struct Trial {
    /// Driver to run.
    pub code: Code,
    /// Function to call; by default the one that the hub would call.
    pub function: Option<String>,
    /// Payload or data to run the driver on.
    pub subject: Subject,
    /// LoRaWAN port.
    pub f_port: Option<u8>,
    /// Time of reception; by default now.
    pub time: Option<Time>,
    /// Driver state of the device.
    pub state: Option<Map<String, Value>>,
}

/// Driver of a test run.
pub enum Code {
    /// Reference of a stored driver.
    Reference(String),
    /// A driver that is not stored.
    Unsaved {
        /// JavaScript source.
        script: Arc<Script>,
        /// Schema of the decoded data.
        schema: Option<Arc<Schema>>,
    },
}

/// Subject of a test run.
pub enum Subject {
    /// Payload to decode.
    Payload(Bytes),
    /// Data to encode.
    Data(Map<String, Value>),
}

/// Result of a test run.
#[derive(Default)]
pub struct TryoutResult {
    /// Return value of the function.
    pub result: Option<Value>,
    /// Data as the hub would store them.
    pub data: Option<Map<String, Value>>,
    /// Values with their own times, if the driver returned several.
    pub updates: Option<Vec<Update>>,
    /// New driver state of the device, if the driver keeps one.
    pub new_state: Option<Map<String, Value>>,
    /// Warnings of the driver.
    pub warnings: Vec<String>,
    /// Failure of the driver, in the form stored with uplinks.
    pub error: Option<Value>,
    /// Log lines of the driver.
    pub logs: Vec<String>,
    /// CPU time in microseconds.
    pub cpu_time_us: u64,
    /// Peak memory in bytes, if known.
    pub memory_peak_bytes: Option<usize>,
    /// Digest of the driver version; `None` for built-in and unsaved drivers.
    pub digest: Option<String>,
}

impl Codec {
    /// Runs a driver. A failure of the driver is part of the result; an error means that the driver could
    /// not be run.
    pub async fn try_out(&self, scope: &Scope, trial: Trial) -> Result<TryoutResult> {
        self.check_state(trial.state.as_ref())?;
        let (digest, tried) = match self.found(scope, &trial.code).await? {
            Decoding::BuiltIn(driver) => (None, self.try_built_in(scope, driver, trial).await),
            Decoding::Version(version) => (
                version.digest.clone(),
                self.try_version(scope, version, trial).await,
            ),
        };
        if let Err(error) = &tried {
            decode::was_run(error)?;
        }
        let tried = tried.unwrap_or_else(TryoutResult::failed);
        Ok(TryoutResult { digest, ..tried })
    }

    fn check_state(&self, state: Option<&Map<String, Value>>) -> Result<()> {
        let most = self.decoder.state_bytes_max;
        let size = state.map(serde_json::to_vec).transpose();
        match size.map_err(Error::internal)? {
            Some(json) if json.len() > most => {
                let rule = format!("must have at most {most} bytes of JSON");
                Err(Error::field("state", rule))
            }
            _ => Ok(()),
        }
    }

    async fn found(&self, scope: &Scope, code: &Code) -> Result<Decoding> {
        match code {
            Code::Reference(reference) => self.decoding(scope, reference).await,
            Code::Unsaved { script, schema } => Ok(Decoding::Version(Arc::new(DriverVersion {
                digest: None,
                script: script.clone(),
                schema: schema.clone(),
                nature: Statefulness::default(),
            }))),
        }
    }

    async fn try_built_in(
        &self,
        scope: &Scope,
        driver: BuiltIn,
        trial: Trial,
    ) -> Result<TryoutResult, DriverError> {
        let decoding = Decoding::BuiltIn(driver);
        match (&trial.function, &trial.subject) {
            (None, Subject::Payload(payload)) => {
                let payload = payload.clone();
                self.try_decoding(scope, decoding, payload, &trial).await
            }
            (Some(name), _) => Err(no_function(format!(
                "the driver defines no function {name}"
            ))),
            (None, Subject::Data(data)) => {
                let result = driver.encode(data).map(|bytes| json!(bytes));
                result.map(|result| TryoutResult {
                    result: Some(result),
                    ..TryoutResult::default()
                })
            }
        }
    }

    async fn try_version(
        &self,
        scope: &Scope,
        version: Arc<DriverVersion>,
        trial: Trial,
    ) -> Result<TryoutResult, DriverError> {
        let names = match (&trial.function, &trial.subject) {
            (None, Subject::Payload(payload)) => {
                let (payload, decoding) = (payload.clone(), Decoding::Version(version));
                return self.try_decoding(scope, decoding, payload, &trial).await;
            }
            (None, Subject::Data(_)) => ENCODERS.to_vec(),
            (Some(function), _) => vec![function.as_str()],
        };
        let (input, received_at) = (trial.input(), trial.received_at());
        let called = self.call_first(scope, &version, &names, input, received_at);
        let (name, returned) = called.await?;
        Ok(TryoutResult::returned(name, returned))
    }

    /// Calls the first of these functions that the driver defines, and returns its name with the result.
    pub async fn call_first<'n>(
        &self,
        scope: &Scope,
        version: &DriverVersion,
        names: &[&'n str],
        input: Value,
        received_at: Option<Time>,
    ) -> Result<(&'n str, Returned), DriverError> {
        for name in names {
            let called = Invoke {
                tenant: scope.tenant().0,
                script: version.script.clone(),
                function: (*name).to_owned(),
                input: input.clone(),
                received_at,
            };
            match self.decoder.drivers.invoke(called).await {
                Err(error) if error.kind == DriverErrorKind::NoFunction => {}
                called => return called.map(|returned| (*name, returned)),
            }
        }
        let names = names.join(", ");
        Err(no_function(format!("the driver defines none of {names}")))
    }

    /// Decodes a payload in the same way as an uplink.
    async fn try_decoding(
        &self,
        scope: &Scope,
        driver: Decoding,
        payload: Bytes,
        trial: &Trial,
    ) -> Result<TryoutResult, DriverError> {
        if !carries_data(trial.f_port, Some(&payload)) {
            return Ok(TryoutResult {
                error: Some(json!({
                    "kind": "no_data",
                    "message": "the hub decodes no frame without a payload, and none on port 0, which \
                                holds commands of LoRaWAN itself; name a function to call it all the same",
                    "line": null,
                })),
                ..TryoutResult::default()
            });
        }
        let now = clock::now();
        let time = trial.time.unwrap_or(now);
        let given = Given {
            payload,
            f_port: trial.f_port,
            time,
            received_at: time.max(now),
            state: trial.state.as_ref(),
        };
        let run = self.decoder.run(scope.tenant(), driver, given, true).await;
        let tried = match run.outcome {
            Ok(taken) => {
                let (warnings, logs) = (taken.warnings.clone(), taken.logs.clone());
                let decoded = Decoded::from(taken);
                TryoutResult {
                    data: decoded.data,
                    updates: decoded.updates,
                    new_state: decoded.new_state,
                    warnings,
                    logs,
                    ..TryoutResult::default()
                }
            }
            Err(error) if decode::was_run(&error).is_err() => return Err(error),
            Err(error) => TryoutResult::failed(error),
        };
        Ok(TryoutResult {
            result: run.result,
            cpu_time_us: run.cpu_time_us,
            memory_peak_bytes: run.memory_peak_bytes,
            ..tried
        })
    }
}

impl Code {
    /// Creates a driver from a script that is not stored.
    pub fn unsaved(script: String, schema: Option<Arc<Schema>>) -> Self {
        let script = Arc::new(Script::new(script));
        Self::Unsaved { script, schema }
    }
}

impl Trial {
    /// Returns the argument for a function that is called by name.
    fn input(&self) -> Value {
        let (name, subject) = match &self.subject {
            Subject::Payload(payload) => ("bytes", json!(payload.as_ref())),
            Subject::Data(data) => ("data", Value::Object(data.clone())),
        };
        let mut input = Map::new();
        input.insert(name.to_owned(), subject);
        if let Some(f_port) = self.f_port {
            input.insert("fPort".to_owned(), f_port.into());
        }
        if let Some(state) = &self.state {
            input.insert("state".to_owned(), Value::Object(state.clone()));
        }
        Value::Object(input)
    }

    /// Returns the time of reception. Data to encode were never received, so there is none by default.
    fn received_at(&self) -> Option<Time> {
        match self.subject {
            Subject::Payload(_) => Some(self.time.unwrap_or_else(clock::now)),
            Subject::Data(_) => self.time,
        }
    }
}

impl TryoutResult {
    fn returned(function: &str, returned: Returned) -> Self {
        let reported = |member: &str| match is_ts013(function) {
            true => texts(&returned.result, member),
            false => Vec::new(),
        };
        let (warnings, errors) = (reported("warnings"), reported("errors"));
        let error = (!errors.is_empty()).then(|| DriverError {
            kind: DriverErrorKind::Exception,
            message: errors.join("; "),
            line: None,
            logs: Vec::new(),
            cpu_time_us: 0,
        });
        Self {
            result: Some(returned.result),
            warnings,
            error: error.as_ref().map(decoded::failure),
            logs: returned.logs,
            cpu_time_us: returned.cpu_time_us,
            memory_peak_bytes: Some(returned.memory_peak_bytes),
            ..Self::default()
        }
    }

    fn failed(error: DriverError) -> Self {
        Self {
            error: Some(decoded::failure(&error)),
            cpu_time_us: error.cpu_time_us,
            logs: error.logs,
            ..Self::default()
        }
    }
}

fn no_function(message: String) -> DriverError {
    DriverError {
        kind: DriverErrorKind::NoFunction,
        message,
        line: None,
        logs: Vec::new(),
        cpu_time_us: 0,
    }
}
