//! Kafka targets: each message is a record of a topic; the acknowledgement of the cluster counts as
//! delivered.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::{answer::Answer, topic};
use crate::{
    delivery::payload::Message,
    error::{Error, Result},
    kafka::{Address, Cluster, Login, Mechanism, Outgoing, Producer, TopicTemplate},
    outgoing::{self, Guard, HeavyWork},
    secret::Credentials,
    store::deliveries::Delivery,
};

/// Name of the type.
pub const KIND: &str = "kafka";

/// Header with the media type of the value.
const CONTENT_TYPE: &str = "content-type";
/// Header with the type of event.
const EVENT: &str = "event";
/// Header with the delivery's id, which is the same for all attempts.
const DELIVERY_ID: &str = "delivery_id";

/// Settings, which are stored unencrypted.
#[derive(Deserialize)]
struct Settings {
    bootstrap: Vec<String>,
    topic: String,
    tls: Option<Tls>,
    ca: Option<String>,
    username: Option<String>,
    mechanism: Option<Mechanism>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Tls {
    Required,
    Off,
}

/// A topic of a Kafka cluster.
pub struct KafkaTarget {
    topic: TopicTemplate,
    producer: Producer,
}

impl KafkaTarget {
    /// Reads the settings.
    pub fn open(settings: &Value, credentials: &Credentials) -> Result<Self> {
        let settings = Settings::deserialize(settings).map_err(Error::internal)?;
        let bootstrap = settings.bootstrap.iter().map(|text| Address::parse(text));
        let tls = match settings.tls {
            Some(Tls::Off) => None,
            Some(Tls::Required) | None => {
                let tls = outgoing::Tls {
                    ca: settings.ca.as_deref(),
                    ..Default::default()
                };
                Some(Arc::new(tls.config().map_err(Error::internal)?))
            }
        };
        let login = settings.username.map(|username| Login {
            mechanism: settings.mechanism.unwrap_or(Mechanism::ScramSha512),
            username,
            password: credentials.get("password").unwrap_or_default().to_owned(),
        });
        Ok(Self {
            topic: TopicTemplate::parse(&settings.topic).map_err(Error::internal)?,
            producer: Producer::new(Cluster {
                bootstrap: bootstrap
                    .collect::<Result<_, _>>()
                    .map_err(Error::internal)?,
                tls,
                login,
                heavy: HeavyWork::default(),
            }),
        })
    }

    /// Writes one delivery.
    pub async fn send(&self, guard: &Guard, delivery: &Delivery, message: &Message) -> Answer {
        let has_labels = self.topic.has_labels();
        let topic = topic::subject(delivery, has_labels, |subject| self.topic.render(subject));
        let topic = match topic {
            Ok(topic) => topic,
            Err(error) => return Answer::hopeless(error),
        };
        let outgoing = Outgoing {
            topic,
            key: delivery.device_id.clone().into(),
            value: message.body.clone().into(),
            headers: vec![
                (EVENT, delivery.kind.as_str().into()),
                (DELIVERY_ID, delivery.id.to_string().into()),
                (CONTENT_TYPE, message.content_type.clone().into()),
            ],
            timestamp: delivery.created_at.timestamp_millis(),
        };
        match self.producer.write(guard, outgoing).await {
            Ok(()) => Answer::default(),
            Err(failure) if failure.is_final() => Answer::hopeless(failure.words),
            Err(failure) => Answer::failed(failure.words),
        }
    }
}
