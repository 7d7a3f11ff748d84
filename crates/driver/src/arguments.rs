//! Converts the single input object that every caller has to the arguments that a dialect's function takes.
//!
//! The arguments are made before the driver's script is evaluated, so that the script cannot interfere. A
//! driver gets its input unchanged wherever the dialect allows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rquickjs::{Ctx, IntoJs, Object, Value};

use super::convert::{exception, says_nothing};
use super::error::{DriverError, DriverErrorKind};
use super::protocol::cut;
use super::values;

/// Keys of the input that may hold the payload, in the order in which they are tried.
const PAYLOAD_KEYS: [&str; 4] = ["bytes", "payload", "payload_hex", "payload_base64"];

/// Returns the arguments of `function` for the input in `json`; `received_at_ms` becomes `recvTime`.
pub fn arguments<'js>(
    ctx: &Ctx<'js>,
    function: &str,
    json: &str,
    received_at_ms: Option<i64>,
) -> Result<Vec<Value<'js>>, DriverError> {
    let input = ctx.json_parse(json).map_err(|error| broken(ctx, error))?;
    let Some(dialect) = Dialect::of(function) else {
        return Ok(vec![input]);
    };
    let Some(object) = input.as_object().filter(|_| !input.is_array()).cloned() else {
        return Err(bad(format!("the input of {function} must be an object")));
    };
    if let Some(epoch_ms) = received_at_ms {
        let time = values::date(ctx, epoch_ms).map_err(|error| broken(ctx, error))?;
        object
            .set("recvTime", time)
            .map_err(|error| broken(ctx, error))?;
    }
    dialect.arguments(ctx, function, object)
}

/// The order in which a function takes its arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// One object with `bytes`, `fPort` and more.
    Decode,
    /// One object, without a payload.
    Object,
    /// `(bytes, port, state)`, or variables where the input has no state.
    BytesAndState,
    /// `(bytes, port, variables)`.
    BytesFirst,
    /// `(fPort, bytes, variables)`.
    PortFirst,
    /// `(data, port, variables)`.
    DataFirst,
    /// `(fPort, data, variables)`.
    PortThenData,
    /// `(data, state)`.
    DataAndState,
}

impl Dialect {
    fn of(function: &str) -> Option<Self> {
        Some(match function {
            "decodeUplink" | "decodeDownlink" => Self::Decode,
            "encodeDownlink" | "normalizeUplink" => Self::Object,
            "decode" => Self::BytesAndState,
            "Decoder" => Self::BytesFirst,
            "Decode" => Self::PortFirst,
            "Encoder" => Self::DataFirst,
            "Encode" => Self::PortThenData,
            "encode" => Self::DataAndState,
            _ => return None,
        })
    }

    fn arguments<'js>(
        self,
        ctx: &Ctx<'js>,
        function: &str,
        input: Object<'js>,
    ) -> Result<Vec<Value<'js>>, DriverError> {
        let broken = |error| broken(ctx, error);
        match self {
            Self::Object => return Ok(vec![input.into_value()]),
            Self::Decode => {
                if let Some(bytes) = payload(ctx, &input)? {
                    input.set("bytes", bytes).map_err(broken)?;
                }
                return Ok(vec![input.into_value()]);
            }
            _ => {}
        }
        let first = |keys: &[&str]| first(ctx, &input, keys);
        let port = first(&["fPort", "port"])?.unwrap_or_else(|| Value::new_null(ctx.clone()));
        let variables = match first(&["variables"])? {
            Some(variables) => variables,
            None => Object::new(ctx.clone()).map_err(broken)?.into_value(),
        };
        let variables = match self {
            Self::BytesAndState | Self::DataAndState => first(&["state"])?.unwrap_or(variables),
            _ => variables,
        };
        let subject = match self {
            Self::BytesAndState | Self::BytesFirst | Self::PortFirst => payload(ctx, &input)?,
            _ => first(&["data"])?,
        };
        let Some(subject) = subject else {
            let wanted = match self {
                Self::BytesAndState | Self::BytesFirst | Self::PortFirst => "bytes",
                _ => "data",
            };
            return Err(bad(format!("the input of {function} must have {wanted}")));
        };
        Ok(match self {
            Self::BytesAndState | Self::BytesFirst | Self::DataFirst => {
                vec![subject, port, variables]
            }
            Self::DataAndState => vec![subject, variables],
            _ => vec![port, subject, variables],
        })
    }
}

/// Returns the payload as an array, from the first key that is present; an array is taken as it is.
fn payload<'js>(ctx: &Ctx<'js>, input: &Object<'js>) -> Result<Option<Value<'js>>, DriverError> {
    for key in PAYLOAD_KEYS {
        let Some(value) = first(ctx, input, &[key])? else {
            continue;
        };
        if value.is_array() {
            return Ok(Some(value));
        }
        let text = value
            .as_string()
            .and_then(|text| text.to_string().ok())
            .and_then(|text| match key {
                "payload_base64" => STANDARD.decode(text).ok(),
                _ => hex::decode(text).ok(),
            });
        let Some(bytes) = text else {
            let form = match key {
                "payload_base64" => "Base64",
                "payload_hex" => "hexadecimal digits",
                _ => "an array of numbers, or hexadecimal digits",
            };
            return Err(bad(format!("{key} in the input must be {form}")));
        };
        let array = values::byte_array(ctx, &bytes).map_err(|error| broken(ctx, error))?;
        return Ok(Some(array));
    }
    Ok(None)
}

/// Returns the first of these properties that is present and not null.
fn first<'js>(
    ctx: &Ctx<'js>,
    input: &Object<'js>,
    keys: &[&str],
) -> Result<Option<Value<'js>>, DriverError> {
    for key in keys {
        let key = (*key).into_js(ctx).map_err(|error| broken(ctx, error))?;
        // Own properties only: `Object.prototype` must not contribute.
        let value: Value = input.get(key).map_err(|error| broken(ctx, error))?;
        if !value.is_undefined() && !value.is_null() {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn bad(message: String) -> DriverError {
    DriverError::new(DriverErrorKind::BadInput, message)
}

/// Only a lack of memory or an invalid input can fail here.
fn broken(ctx: &Ctx<'_>, _: rquickjs::Error) -> DriverError {
    let error = exception(ctx);
    match error.kind {
        DriverErrorKind::Exception if !says_nothing(&error) => {
            bad(format!("the input cannot be read: {}", cut(&error.message)))
        }
        _ => error,
    }
}
