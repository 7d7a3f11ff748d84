//! Payload format of integrations.

use poem_openapi::{Object, Union};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{
    api::http::union,
    error::{Error, Result},
    text::{MediaType, TemplateText},
};

/// The form in which messages go out
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

/// The hub's native output format, JSON
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NativePayload {}

/// CloudEvents 1.0 in the structured mode: the native output format is in `data`
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudEventsPayload {}

/// A template in the language of Jinja, over the members of the native output format and `delivery` (with
/// `id`, `device_id`, `event_id`, `event_type` and `queued_at`). Where the media type is JSON, values stand
/// in it as JSON. A value that is not there is an error unless `default` or `is defined` expects it; a
/// message that the template fails for is a dead letter
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplatePayload {
    /// The template
    template: TemplateText,
    /// What it makes
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

/// The form in which messages go out
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

/// The hub's native output format
#[derive(Object, Serialize, Deserialize)]
pub struct NativePayloadView {}

/// CloudEvents 1.0
#[derive(Object, Serialize, Deserialize)]
pub struct CloudEventsPayloadView {}

/// A template
#[derive(Object, Serialize, Deserialize)]
pub struct TemplatePayloadView {
    /// The template
    template: String,
    /// What it makes
    content_type: String,
}

impl TryFrom<Value> for PayloadView {
    type Error = Error;

    fn try_from(stored: Value) -> Result<Self> {
        serde_json::from_value(stored).map_err(Error::internal)
    }
}
