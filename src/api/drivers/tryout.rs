//! Trial runs of drivers.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use poem::Result;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        devices::history::{DriverFailure, UpdateView},
        drivers::{content::SchemaBody, resource::PUSH_FACTOR},
        http::{
            answer::Found,
            body::Body,
            caller::Caller,
            types::{Count, JsonObject, JsonValue, Port, Timestamp},
        },
        tag::Tag,
    },
    codec::Codec,
    codec::{
        output::Update,
        tryout::{Code, Subject, Trial, TryoutResult},
    },
    error::{Error, Reason},
    hub::drivers::schemas::SchemaSource,
    reference::DriverReference,
    text::{FunctionName, PayloadBase64, PayloadHex, Script},
};

/// Driver to try and its input. Give exactly one of `driver` and `script`, and exactly one of `payload_hex`,
/// `payload_base64` and `data`.
#[derive(Object, Deserialize, Serialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
struct DriverTrial {
    /// Reference of a driver, as in the field `driver` of a device: `author/name`, `author/name:tag` or
    /// `author/name@sha256:...`. Can be a built-in driver.
    driver: Option<DriverReference>,
    /// JavaScript code to try without a push.
    script: Option<Script>,
    /// Schema of the data that `script` decodes, as a JSON object or as JSON or YAML in a string. Only allowed with
    /// `script`. Omitted or null for no schema.
    schema: Option<SchemaBody>,
    /// Name of the function to call. If omitted or null, a payload is decoded as an uplink, and `data` are encoded with
    /// the first that the script defines of `encodeDownlink`, `encode`, `Encoder` and `Encode`. The name consists of
    /// ASCII letters, digits, `_` and `$`, and does not start with a digit.
    function: Option<FunctionName>,
    /// Payload in hexadecimal digits, two per byte, of at most 4096 bytes.
    payload_hex: Option<PayloadHex>,
    /// Payload in base64 with padding, of at most 4096 bytes.
    payload_base64: Option<PayloadBase64>,
    /// Data to encode for a device.
    data: Option<JsonObject>,
    /// LoRaWAN port. Omitted or null for no port.
    f_port: Option<Port>,
    /// Time at which the payload was received. Omitted or null for the current time.
    time: Option<Timestamp>,
    /// Driver state of the device. Omitted or null for no state.
    state: Option<JsonObject>,
}

/// Result of trying a driver.
#[derive(Object, Serialize)]
#[oai(rename = "DriverTrialResult")]
struct TrialView {
    /// Return value of the function as JSON; null if the function failed, returned nothing, or returned more than
    /// the hub's limit.
    result: JsonValue,
    /// Data that the hub would store for an uplink; null if it would store an error, and always null if the request
    /// has `function` or `data`.
    data: Option<JsonObject>,
    /// Values with their times, the earliest first; null unless the driver returned updates.
    updates: Option<Vec<UpdateView>>,
    /// New driver state of the device; null if the driver returned none.
    new_state: Option<JsonObject>,
    /// Warnings of the driver.
    warnings: Vec<String>,
    /// Error of the driver; null if the driver succeeded.
    error: Option<DriverFailure>,
    /// Lines that the driver logged.
    logs: Vec<String>,
    /// CPU time of the call in microseconds; 0 for a built-in driver.
    cpu_time_us: Count,
    /// Peak memory of the call in bytes, including about 200 KiB of the JavaScript runtime; null if the function
    /// failed, and for a built-in driver.
    memory_peak_bytes: Option<Count>,
    /// Digest of the driver's version; null for `script` and for a built-in driver.
    digest: Option<String>,
}

/// Endpoint of `drivers/try`.
pub struct DriverTryoutApi {
    pub codec: Codec,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Drivers")]
impl DriverTryoutApi {
    /// Try a driver
    ///
    /// Runs a pushed driver, or a script that is not pushed, on a payload or on data to encode, and returns its result,
    /// CPU time and memory. A payload is decoded by the same steps and within the same limits as an uplink. Nothing is
    /// stored. If the driver fails, the response has the status 200 and an `error`.
    ///
    /// Fails with 400 if the driver does not exist, if `schema` is invalid or given without `script`, if `state` is
    /// larger than the hub's limit, or if more or less than one driver or input is given. Fails with 503 if too many
    /// drivers are waiting to run.
    #[oai(path = "/drivers/try", method = "post", operation_id = "try_driver")]
    async fn try_out(
        &self,
        caller: Caller,
        body: Body<DriverTrial, PUSH_FACTOR>,
    ) -> Result<Found<TrialView>> {
        let trial = body.0.read()?;
        let tried = self.codec.try_out(caller.scope(), trial).await?;
        Ok(Found(tried.try_into()?))
    }
}

impl DriverTrial {
    /// Checks the rules between members, which the schema cannot express, and converts the body.
    fn read(self) -> Result<Trial, Error> {
        let code = match (self.driver, self.script, self.schema) {
            (Some(_), None, Some(_)) => {
                let rule = "must only be given with script, because a driver has its own schema";
                return Err(Error::field("schema", rule));
            }
            (Some(driver), None, None) => Code::Reference(driver.into_string()),
            (None, Some(script), schema) => {
                let schema = schema.map(SchemaSource::from).map(SchemaSource::read);
                Code::unsaved(script.into_string(), schema.transpose()?)
            }
            (driver, ..) => {
                let reason = reason_of_choice(driver.is_none());
                let rule = "must be given, or script instead, but not both";
                return Err(Error::of_field(reason, "driver", rule));
            }
        };
        let subject = match (self.payload_hex, self.payload_base64, self.data) {
            (Some(hex), None, None) => {
                Subject::Payload(hex::decode(&*hex).map_err(Error::internal)?.into())
            }
            (None, Some(base64), None) => {
                let bytes = STANDARD.decode(&*base64).map_err(Error::internal)?;
                Subject::Payload(Bytes::from(bytes))
            }
            (None, None, Some(data)) => Subject::Data(data.0),
            (hex, base64, data) => {
                let reason = reason_of_choice(hex.is_none() && base64.is_none() && data.is_none());
                let rule = "must be given, or payload_base64 or data instead, but only one of them";
                return Err(Error::of_field(reason, "payload_hex", rule));
            }
        };
        Ok(Trial {
            code,
            function: self.function.map(FunctionName::into_string),
            subject,
            f_port: self.f_port.and_then(|port| u8::try_from(*port).ok()),
            time: self.time.map(|time| time.0),
            state: self.state.map(|state| state.0),
        })
    }
}

/// Returns the reason of an error about members of which exactly one must be given.
fn reason_of_choice(is_none_given: bool) -> Reason {
    match is_none_given {
        true => Reason::Required,
        false => Reason::Invalid,
    }
}

impl TryFrom<TryoutResult> for TrialView {
    type Error = Error;

    fn try_from(tried: TryoutResult) -> Result<Self, Error> {
        let update = |update: Update| UpdateView {
            timestamp: Timestamp(update.time),
            values: JsonObject(update.values),
        };
        let updates = |updates: Vec<Update>| updates.into_iter().map(update).collect();
        let error = tried.error.map(serde_json::from_value);
        Ok(Self {
            result: JsonValue(tried.result.unwrap_or_default()),
            data: tried.data.map(JsonObject),
            updates: tried.updates.map(updates),
            new_state: tried.new_state.map(JsonObject),
            warnings: tried.warnings,
            error: error.transpose().map_err(Error::internal)?,
            logs: tried.logs,
            cpu_time_us: Count::saturating(tried.cpu_time_us),
            memory_peak_bytes: tried.memory_peak_bytes.map(Count::saturating),
            digest: tried.digest,
        })
    }
}
