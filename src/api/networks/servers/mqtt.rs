//! Settings of generic MQTT brokers in the API.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{claims::Claims, http::Mapping};
use crate::{
    api::http::{
        mqtt_broker::{Broker, Quality, at_least_once},
        types::List,
    },
    secret::Claim,
    text::{DownlinkTopic, Template, TopicFilter},
};

/// Any MQTT broker, with messages in JSON. The hub subscribes with a persistent session and quality of service 1, and
/// acknowledges a message after it has stored it on disk. Messages need no ingest key.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MqttUplinks")]
pub struct Uplinks {
    /// Broker to subscribe to.
    broker: Broker,
    /// Topic filters to subscribe to, 1 to 32, without control characters. `+` stands for one level, and `#` for all
    /// remaining levels.
    topics: List<TopicFilter, 1, 32>,
    /// Mapping from members of the message to the parts of an uplink.
    mapping: Mapping,
}

impl Claims for Uplinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        self.broker.take_claims("settings")
    }
}

/// The broker of the connection. The hub publishes downlinks to it. Requires a connection with a broker; connections of
/// the types `the_things_stack_mqtt` and `chirpstack_mqtt` do not need these settings.
///
/// `topic` and `payload` can contain the same placeholders as `url` and `body` of the type `http`.
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MqttDownlinks")]
pub struct Downlinks {
    /// Template of the topic, without control characters and the wildcards `+` and `#`. A downlink waits if a value for
    /// it contains a slash or a wildcard.
    topic: DownlinkTopic,
    /// Template of the message, without control characters except tabs and line breaks, whose values the hub escapes
    /// for a JSON string. If omitted or null, the hub publishes the bytes of the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Template>,
    /// Quality of service: 0 at most once, 1 at least once, 2 exactly once. With 0, a downlink counts as sent when the
    /// hub has sent it.
    #[oai(default = "at_least_once")]
    #[serde(default = "at_least_once")]
    qos: Quality,
    /// Whether the broker retains the last message of each topic for later subscribers.
    #[oai(default)]
    #[serde(default)]
    retain: bool,
}

impl Claims for Downlinks {}
