//! Target type `mqtt`.

use poem_openapi::Object;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::target_type::{TargetType, read};
use crate::{
    api::http::mqtt_broker::{self, Broker, BrokerView, Quality},
    error::Result,
    mqtt,
    secret::{Claim, SealedCredentials},
    text::TopicTemplate,
};

/// A topic of an MQTT broker, which takes each message by its acknowledgement. Azure IoT Hub and AWS
/// IoT Core are such brokers
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttTarget {
    /// The broker
    broker: Broker,
    /// Where to publish. `{device_id}` is the device, `{event}` the type of event and `{label:site}` the
    /// value of the device's label `site`, `_` where it has none; wildcards and slashes in a value
    /// become `_`
    #[serde(deserialize_with = "template")]
    topic: TopicTemplate,
    /// The quality of service: 0 at most once, 1 at least once, 2 exactly once. With 0 a message counts
    /// as delivered when it is sent
    #[oai(default = "mqtt_broker::at_least_once")]
    #[serde(default = "mqtt_broker::at_least_once")]
    qos: Quality,
    /// Whether the broker keeps the last message of each topic for those who come later
    #[oai(default)]
    #[serde(default)]
    retain: bool,
}

/// A topic of an MQTT broker
#[derive(Object, Serialize, Deserialize)]
pub struct MqttTargetView {
    /// The broker
    broker: BrokerView,
    /// Where it publishes
    topic: String,
    /// The quality of service: 0 at most once, 1 at least once, 2 exactly once
    qos: Quality,
    /// Whether the broker keeps the last message of each topic for those who come later
    retain: bool,
}

/// Deserializes a topic template and checks its placeholders.
fn template<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TopicTemplate, D::Error> {
    let template = TopicTemplate::deserialize(deserializer)?;
    mqtt::TopicTemplate::parse(&template).map_err(de::Error::custom)?;
    Ok(template)
}

impl TargetType for MqttTarget {
    const KIND: &'static str = "mqtt";

    fn take_claims(&mut self) -> Vec<Claim> {
        self.broker.take_claims("target")
    }
}

impl MqttTargetView {
    pub fn new(settings: Value, secrets: &SealedCredentials) -> Result<Self> {
        let view: Self = read(settings)?;
        Ok(Self {
            broker: view.broker.with(secrets),
            ..view
        })
    }
}
