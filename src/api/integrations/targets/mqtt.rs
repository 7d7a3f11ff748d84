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

/// A topic of an MQTT broker, such as Azure IoT Hub or AWS IoT Core. With quality of service 1 or 2, a message counts
/// as delivered when the broker has acknowledged it.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttTarget {
    /// Broker to publish to.
    broker: Broker,
    /// Template of the topic, without control characters and the wildcards `+` and `#`. `{device_id}` stands for the
    /// device's id, `{event}` for the type of the event and `{label:site}` for the value of the device's label `site`,
    /// which is `_` if the device has no such label. Wildcards and slashes in a value become `_`.
    #[serde(deserialize_with = "template")]
    topic: TopicTemplate,
    /// Quality of service: 0 at most once, 1 at least once, 2 exactly once. With 0, a message counts as delivered when
    /// the hub has sent it.
    #[oai(default = "mqtt_broker::at_least_once")]
    #[serde(default = "mqtt_broker::at_least_once")]
    qos: Quality,
    /// Whether the broker retains the last message of each topic for later subscribers.
    #[oai(default)]
    #[serde(default)]
    retain: bool,
}

/// A topic of an MQTT broker.
#[derive(Object, Serialize, Deserialize)]
pub struct MqttTargetView {
    /// Broker to publish to, without its secrets.
    broker: BrokerView,
    /// Template of the topic.
    topic: String,
    /// Quality of service: 0 at most once, 1 at least once, 2 exactly once.
    qos: Quality,
    /// Whether the broker retains the last message of each topic for later subscribers.
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
