//! Encodes values for a device with its driver.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tracing::Instrument;

use super::{Codec, decode, output::texts, version::Decoding};
use crate::{
    driver::{DriverError, DriverErrorKind, ENCODERS, is_ts013, schema::Schema},
    error::Result,
    store::Scope,
    traces,
};

/// Values to encode for a device.
pub struct Values<'a> {
    /// The values.
    pub data: &'a Map<String, Value>,
    /// State that the device has reported.
    pub reported: &'a Map<String, Value>,
    /// LoRaWAN port, if the client chose one.
    pub f_port: Option<u8>,
}

/// Result of an encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Payload to send.
    pub payload: Vec<u8>,
    /// LoRaWAN port, if the driver returned one.
    pub f_port: Option<u8>,
    /// True if the device must acknowledge the downlink; `None` if the driver does not say.
    pub confirmed: Option<bool>,
}

impl Encoded {
    /// Creates a result from bytes only.
    pub fn bare(payload: Vec<u8>) -> Self {
        Self {
            payload,
            f_port: None,
            confirmed: None,
        }
    }
}

/// Outcome of encoding values.
pub enum Encoding {
    /// The driver has encoded them.
    Done(Encoded),
    /// They could not be encoded.
    Impossible(NotEncoded),
}

/// Reason why values could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEncoded {
    /// There is no driver, or the driver has no encoder.
    #[error("cannot be encoded: {0}")]
    NoEncoder(String),
    /// The driver rejected the values, or failed.
    #[error("cannot be encoded by the driver: {0}")]
    Refused(String),
}

impl Codec {
    /// Returns the schema of a driver; `None` if the driver has none or does not exist.
    pub async fn schema(
        &self,
        scope: &Scope,
        reference: Option<&str>,
    ) -> Result<Option<Arc<Schema>>> {
        let route = self.driver(scope, reference).await?;
        Ok(match route.decoding() {
            Some(Decoding::Version(version)) => version.schema.clone(),
            _ => None,
        })
    }

    /// Encodes values with a driver. An error means that the driver could not be called.
    pub async fn encode(
        &self,
        scope: &Scope,
        reference: Option<&str>,
        values: Values<'_>,
    ) -> Result<Encoding> {
        let route = self.driver(scope, reference).await?;
        let called = match (route.decoding(), reference) {
            (Some(Decoding::BuiltIn(driver)), _) => driver
                .encode(values.data)
                .map(|bytes| (ENCODERS[0], json!({"bytes": bytes}))),
            (Some(Decoding::Version(version)), _) => {
                let input = values.input();
                let span = traces::driver("encode", &route);
                let called = self.call_first(scope, &version, &ENCODERS, input, None);
                let called = called.instrument(span.clone()).await;
                decode::trace(&span, called.as_ref().err());
                called.map(|(name, returned)| (name, returned.result))
            }
            (None, Some(reference)) => {
                let text = format!("there is no driver {reference}");
                return Ok(Encoding::Impossible(NotEncoded::NoEncoder(text)));
            }
            (None, None) => {
                let text = "the device has no driver".to_owned();
                return Ok(Encoding::Impossible(NotEncoded::NoEncoder(text)));
            }
        };
        match called {
            Ok((function, result)) => Ok(match read(function, &result) {
                Ok(encoded) => Encoding::Done(encoded),
                Err(why) => Encoding::Impossible(NotEncoded::Refused(why)),
            }),
            Err(error) => refusal(error).map(Encoding::Impossible),
        }
    }
}

impl Values<'_> {
    fn input(&self) -> Value {
        let mut input = json!({"data": self.data, "state": self.reported});
        if let Some(f_port) = self.f_port {
            input["fPort"] = f_port.into();
        }
        input
    }
}

fn refusal(error: DriverError) -> Result<NotEncoded> {
    decode::was_run(&error)?;
    match error.kind {
        DriverErrorKind::NoFunction => Ok(NotEncoded::NoEncoder(error.message)),
        _ => Ok(NotEncoded::Refused(error.at_line())),
    }
}

/// Reads the return value of an encoder: bytes, or an object with `bytes` or `payload`, and optionally
/// `fPort` or `port`, and `confirmed`. The error names the member.
fn read(function: &str, result: &Value) -> Result<Encoded, String> {
    if is_ts013(function) {
        let errors = texts(result, "errors");
        if !errors.is_empty() {
            return Err(errors.join("; "));
        }
    }
    let member = |names: [&str; 2]| {
        let found = names.into_iter().find(|name| !result[name].is_null());
        found.map(|name| (name.to_owned(), &result[name]))
    };
    let (name, payload) = match member(["bytes", "payload"]) {
        Some(found) => found,
        None => (function.to_owned(), result),
    };
    let payload = bytes(payload).map_err(|rule| format!("{name}: {rule}"))?;
    let f_port = match member(["fPort", "port"]) {
        None => None,
        Some((name, value)) => {
            let port = value.as_u64().and_then(|port| u8::try_from(port).ok());
            let port = port.filter(|port| (1..=223).contains(port));
            let rule = || format!("{name}: must be a whole number from 1 to 223");
            Some(port.ok_or_else(rule)?)
        }
    };
    let confirmed = match &result["confirmed"] {
        Value::Null => None,
        value => Some(value.as_bool().ok_or("confirmed: must be true or false")?),
    };
    Ok(Encoded {
        payload,
        f_port,
        confirmed,
    })
}

/// Reads bytes from any form that a driver may return: an array, hexadecimal text, or the JSON form of
/// a typed array or a `Buffer`.
fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    let byte = |value: &Value| {
        let byte = value.as_u64().and_then(|byte| u8::try_from(byte).ok());
        byte.ok_or_else(|| "must contain only whole numbers from 0 to 255".to_owned())
    };
    match value {
        Value::Array(items) => items.iter().map(byte).collect(),
        Value::String(text) => {
            hex::decode(text).map_err(|_| "must be pairs of hexadecimal digits".to_owned())
        }
        Value::Object(_) if value["type"] == "Buffer" => bytes(&value["data"]),
        Value::Object(object)
            if object
                .keys()
                .enumerate()
                .all(|(index, key)| *key == index.to_string()) =>
        {
            object.values().map(byte).collect()
        }
        _ => {
            Err("must be bytes: an array of numbers from 0 to 255, or hexadecimal text".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_result_is_read() {
        let encoded = |payload: &[u8], f_port, confirmed| {
            Ok(Encoded {
                payload: payload.to_vec(),
                f_port,
                confirmed,
            })
        };
        for (function, result, wanted) in [
            ("Encoder", json!([1, 255]), encoded(&[1, 255], None, None)),
            ("encode", json!("01fF"), encoded(&[1, 255], None, None)),
            (
                "encode",
                json!({"bytes": [1], "fPort": 223}),
                encoded(&[1], Some(223), None),
            ),
            (
                "encodeDownlink",
                json!({"bytes": [1], "fPort": 85, "warnings": ["w"], "errors": []}),
                encoded(&[1], Some(85), None),
            ),
            (
                "encode",
                json!({"payload": {"0": 1, "1": 2}, "port": 3, "confirmed": true}),
                encoded(&[1, 2], Some(3), Some(true)),
            ),
            (
                "Encode",
                json!({"type": "Buffer", "data": [7]}),
                encoded(&[7], None, None),
            ),
        ] {
            assert_eq!(read(function, &result), wanted, "{result}");
        }
    }

    #[test]
    fn what_is_no_result_is_named() {
        for (function, result, wanted) in [
            ("encode", json!(null), "encode: must be bytes"),
            ("encode", json!({"led": 1}), "encode: must be bytes"),
            (
                "encode",
                json!({"bytes": [256]}),
                "bytes: must contain only",
            ),
            ("encode", json!({"payload": "0"}), "payload: must be pairs"),
            (
                "encode",
                json!({"bytes": [1], "port": 0}),
                "port: must be a whole number from 1",
            ),
            (
                "encode",
                json!({"bytes": [1], "confirmed": 1}),
                "confirmed: must be",
            ),
            (
                "encode",
                json!({"bytes": [1], "fPort": 224}),
                "fPort: must be a whole number from 1 to 223",
            ),
            ("encodeDownlink", json!({"errors": ["no led"]}), "no led"),
        ] {
            let error = read(function, &result).unwrap_err();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
