//! MQTT targets: each message is published; the acknowledgement of the broker counts as delivered.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{answer::Answer, topic};
use crate::{
    delivery::payload::Message,
    error::{Error, Result},
    id::IntegrationId,
    mqtt::{Broker, BrokerCredentials, BrokerSettings, Publication, Publishers, TopicTemplate},
    secret::Credentials,
    store::deliveries::Delivery,
};

/// Name of the type.
pub const KIND: &str = "mqtt";

/// Settings, which are stored unencrypted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MqttSettings {
    /// Broker to publish to.
    pub broker: BrokerSettings,
    /// Topic template.
    pub topic: String,
    /// MQTT QoS: 0, 1 or 2.
    pub qos: u8,
    /// True if the broker must retain the messages.
    pub retain: bool,
}

/// Validates the broker settings with these credentials. The error names the field and the rule.
pub fn check(settings: &Value, credentials: &Credentials) -> Result<()> {
    let settings = MqttSettings::deserialize(settings).map_err(Error::internal)?;
    let credentials = BrokerCredentials::read(|name| credentials.get(name));
    let checked = settings.broker.check(&credentials);
    checked.map_err(|broken| Error::broken(format!("target.broker.{broken}")))
}

/// A topic of an MQTT broker.
pub struct MqttTarget {
    purpose: String,
    broker: Broker,
    topic: TopicTemplate,
    qos: u8,
    retain: bool,
}

impl MqttTarget {
    /// Reads the settings.
    pub fn open(id: IntegrationId, settings: &Value, credentials: &Credentials) -> Result<Self> {
        let settings = MqttSettings::deserialize(settings).map_err(Error::internal)?;
        let credentials = BrokerCredentials::read(|name| credentials.get(name));
        Ok(Self {
            purpose: format!("integration/{id}"),
            broker: Broker::new(settings.broker, credentials, "").map_err(Error::internal)?,
            topic: TopicTemplate::parse(&settings.topic).map_err(Error::internal)?,
            qos: settings.qos,
            retain: settings.retain,
        })
    }

    /// Publishes one delivery.
    pub async fn send(
        &self,
        publishers: &Publishers,
        delivery: &Delivery,
        message: &Message,
        within: Duration,
    ) -> Answer {
        let has_labels = self.topic.has_labels();
        let topic = topic::subject(delivery, has_labels, |subject| self.topic.render(subject));
        let publication = Publication {
            topic,
            payload: message.body.clone().into(),
            qos: self.qos,
            retain: self.retain,
        };
        if let Err(error) = publication.check() {
            return Answer::hopeless(error);
        }
        let publisher = publishers.get(&self.purpose, &self.broker);
        match publisher.publish(publication, within).await {
            Ok(()) => Answer::default(),
            Err(error) => Answer::failed(error),
        }
    }
}
