//! Payload format of integrations.

use poem_openapi::{Object, Union};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{
    api::http::union,
    error::{Error, Result},
    text::{MediaType, TemplateText},
};

/// Format of the messages that an integration sends.
#[derive(Union, Serialize)]
#[oai(
    rename = "IntegrationPayload",
    discriminator_name = "type",
    one_of = true
)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Payload {
    #[oai(mapping = "native")]
    Native(NativePayload),
    #[oai(mapping = "cloudevents")]
    Cloudevents(CloudEventsPayload),
    #[oai(mapping = "template")]
    Template(TemplatePayload),
}

/// The hub's native output format, as JSON.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NativePayload {}

/// CloudEvents 1.0 in structured mode, with the native output format in `data`.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudEventsPayload {}

/// A Jinja template. Its variables are the members of the native output format and `delivery`, which has `id`,
/// `device_id`, `event_id`, `event_type` and `queued_at`.
///
/// If the media type is JSON, values are written as JSON and the result must be valid JSON. A missing value is an error
/// unless the template uses `default` or `is defined`. If the template fails for a message, the message becomes a dead
/// letter. The request fails with 400 if the template has a syntax error or exceeds its limits.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplatePayload {
    /// Template, in the Jinja language, without NUL characters.
    template: TemplateText,
    /// Media type of the result, such as `application/json`, with no parameter except `charset=utf-8`.
    content_type: MediaType,
}

impl Default for Payload {
    fn default() -> Self {
        Self::Native(NativePayload {})
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tags = ["native", "cloudevents", "template"];
        union::read(deserializer, &tags, |tag, members| match tag {
            "native" => Some(members.read().map(Self::Native)),
            "cloudevents" => Some(members.read().map(Self::Cloudevents)),
            "template" => Some(members.read().map(Self::Template)),
            _ => None,
        })
    }
}

/// Format of the messages that an integration sends.
#[derive(Union, Serialize, Deserialize)]
#[oai(
    rename = "IntegrationPayloadView",
    discriminator_name = "type",
    one_of = true
)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PayloadView {
    #[oai(mapping = "native")]
    Native(NativePayloadView),
    #[oai(mapping = "cloudevents")]
    Cloudevents(CloudEventsPayloadView),
    #[oai(mapping = "template")]
    Template(TemplatePayloadView),
}

/// The hub's native output format, as JSON.
#[derive(Object, Serialize, Deserialize)]
pub struct NativePayloadView {}

/// CloudEvents 1.0 in structured mode, with the native output format in `data`.
#[derive(Object, Serialize, Deserialize)]
pub struct CloudEventsPayloadView {}

/// A Jinja template.
#[derive(Object, Serialize, Deserialize)]
pub struct TemplatePayloadView {
    /// Template, in the Jinja language.
    template: String,
    /// Media type of the result.
    content_type: String,
}

impl TryFrom<Value> for PayloadView {
    type Error = Error;

    fn try_from(stored: Value) -> Result<Self> {
        serde_json::from_value(stored).map_err(Error::internal)
    }
}
