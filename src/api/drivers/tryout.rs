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
        tryout::{Code, Subject, Trial, Tried},
    },
    error::Error,
    hub::drivers::schemas::SchemaSource,
    reference::DriverReference,
    text::{FunctionName, PayloadBase64, PayloadHex, Script},
};

/// What to try, and on what: one of `driver` and `script`, and one of `payload_hex`, `payload_base64` and `data`
#[derive(Object, Deserialize, Serialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
struct DriverTrial {
    /// A driver as a device refers to it, built-in ones included
    driver: Option<DriverReference>,
    /// In its place: JavaScript that nobody has pushed
    script: Option<Script>,
    /// What `script` must decode to
    schema: Option<SchemaBody>,
    /// The function to call; if left out, the one that the hub takes for uplinks, or the first of `encodeDownlink`, `encode`, `Encoder` and `Encode` for `data`
    function: Option<FunctionName>,
    /// What a device sent, at most 4096 bytes
    payload_hex: Option<PayloadHex>,
    /// The same in base64, with padding
    payload_base64: Option<PayloadBase64>,
    /// What to tell a device, to be encoded
    data: Option<JsonObject>,
    /// LoRaWAN port
    f_port: Option<Port>,
    /// When the payload was received; now, if left out
    time: Option<Timestamp>,
    /// What the driver keeps of the device; nothing, if left out
    state: Option<JsonObject>,
}

/// What came of trying a driver
#[derive(Object, Serialize)]
#[oai(rename = "DriverTrialResult")]
struct TrialView {
    /// What the function returned, as JSON; null where it failed, returned nothing, or more than a result may have
    result: JsonValue,
    /// What the hub would record of such an uplink; null where it would record a failure, and where `function` was named or `data` encoded
    data: Option<JsonObject>,
    /// The values of each time, the earliest first, where the driver told of several
    updates: Option<Vec<UpdateView>>,
    /// The device's state from then on, where the driver gave one
    new_state: Option<JsonObject>,
    /// What the driver warned of
    warnings: Vec<String>,
    /// Why the driver made nothing of it
    error: Option<DriverFailure>,
    /// What it logged
    logs: Vec<String>,
    /// CPU time that the call took, in microseconds; 0 for a built-in driver
    cpu_time_us: Count,
    /// The most memory that the call had at once, some 200 KiB of a fresh JavaScript runtime included; null for a failure and for a built-in driver
    memory_peak_bytes: Option<Count>,
    /// What the version is called by; null for a script that nobody has pushed and for a built-in driver
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
    /// Runs a version, or a script that nobody has pushed, on a payload or on data to encode, and tells
    /// what it returns and costs. A payload is decoded by the same steps as an uplink, with the same
    /// limits, schema included. A driver that fails is answered with 200 and an `error`. Nothing is
    /// kept: no device, no state and no event changes.
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
                let rule = "must come with script: a driver has a schema of its own";
                return Err(Error::field("schema", rule));
            }
            (Some(driver), None, None) => Code::Reference(driver.into_string()),
            (None, Some(script), schema) => {
                let schema = schema.map(SchemaSource::from).map(SchemaSource::read);
                Code::unsaved(script.into_string(), schema.transpose()?)
            }
            _ => {
                let rule = "must be given, or script in its place, and not both";
                return Err(Error::field("driver", rule));
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
            _ => {
                let rule = "must be given, or payload_base64 or data in its place, and only one";
                return Err(Error::field("payload_hex", rule));
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

impl TryFrom<Tried> for TrialView {
    type Error = Error;

    fn try_from(tried: Tried) -> Result<Self, Error> {
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
