//! MQTT: the message is published; the broker takes it by its acknowledgement.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Answer;
use crate::{
    delivery::payload::Message,
    error::{Error, Result},
    id::IntegrationId,
    mqtt::{
        Broker, BrokerCredentials, BrokerSettings, Publication, Publishers, Subject, TopicTemplate,
    },
    secret::Credentials,
    store::deliveries::Delivery,
};

/// The type's name.
pub const KIND: &str = "mqtt";

/// The settings that are stored in the clear.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MqttSettings {
    /// The broker.
    pub broker: BrokerSettings,
    /// Where it publishes to.
    pub topic: String,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether the broker keeps each for those who come later.
    pub retain: bool,
}

/// A topic of a broker.
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
        let labels = match self.topic.has_labels() {
            true => labels(&delivery.body),
            false => Vec::new(),
        };
        let subject = Subject {
            device_id: &delivery.device_id,
            event: delivery.kind.as_str(),
            labels: &labels,
        };
        let publication = Publication {
            topic: self.topic.render(subject),
            payload: message.body.clone().into(),
            qos: self.qos,
            retain: self.retain,
        };
        let publisher = publishers.get(&self.purpose, &self.broker);
        Answer {
            error: publisher.publish(publication, within).await.err(),
            ..Default::default()
        }
    }
}

/// The device's labels, as the native output has them.
fn labels(body: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Output {
        uplink_metadata: Device,
    }
    #[derive(Deserialize)]
    struct Device {
        labels: Option<Vec<String>>,
    }
    let output: Option<Output> = serde_json::from_str(body).ok();
    output
        .and_then(|output| output.uplink_metadata.labels)
        .unwrap_or_default()
}
