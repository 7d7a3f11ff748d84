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

/// Any MQTT broker with messages in JSON. The hub subscribes with a lasting session at quality of service 1
/// and acknowledges a message when it is on disk; it asks for no ingest key
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MqttUplinks")]
pub struct Uplinks {
    /// The broker
    broker: Broker,
    /// What to subscribe to; `+` stands for one level, `#` for all that follow
    topics: List<TopicFilter, 1, 32>,
    /// Where the parts of an uplink are in the JSON
    mapping: Mapping,
}

impl Claims for Uplinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        self.broker.take_claims("settings")
    }
}

/// The broker from which the connection's uplinks come: only for a connection that has one. Not needed for connections of the types `the_things_stack_mqtt` and `chirpstack_mqtt`, which know how. `topic` and `payload` may name what `url` and `body` of the type `http` may
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MqttDownlinks")]
pub struct Downlinks {
    /// Where to publish. A value with a slash or a wildcard cannot stand in it: the downlink waits
    topic: DownlinkTopic,
    /// What is published, with values escaped for a JSON text; the bytes themselves, if left out
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Template>,
    /// The quality of service: 0 at most once, 1 at least once, 2 exactly once. With 0 a downlink counts as sent when it has left the hub
    #[oai(default = "at_least_once")]
    #[serde(default = "at_least_once")]
    qos: Quality,
    /// Whether the broker keeps the last message of each topic for those who come later
    #[oai(default)]
    #[serde(default)]
    retain: bool,
}

impl Claims for Downlinks {}
