//! Network servers whose messages the hub fetches from a broker. What a message says, the adapters of
//! the same servers' webhooks read; here is which topics to subscribe to.

use serde::{Deserialize, Serialize};

use crate::{
    mqtt::{Broken, Broker, BrokerCredentials, BrokerSettings, check_filter},
    networks::{
        Event, Incoming, Malformed, Network, chirpstack::uplink::ChirpStack,
        http::uplink::HttpMapping, the_things_stack::uplink::TheThingsStack,
    },
    secret::Credentials,
};

/// The kinds of connections that are in this file.
pub const KINDS: &[&str] = &["mqtt", "the_things_stack_mqtt", "chirpstack_mqtt"];
/// Most topics of one connection.
pub const TOPICS_MAX: usize = 32;

/// Which broker, and what to ask it for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// The broker.
    pub broker: &'a BrokerSettings,
    /// The topics, with wildcards.
    pub filters: Vec<String>,
}

impl Subscription<'_> {
    /// The broker with the connection's secrets; `client_id` counts where the settings name none.
    ///
    /// # Errors
    /// The first rule that they break together.
    pub fn broker(&self, secrets: &Credentials, client_id: &str) -> Result<Broker, Broken> {
        let secrets = BrokerCredentials::read(|name| secrets.get(name));
        Broker::new(self.broker.clone(), secrets, client_id)
    }
}

/// Any broker with messages in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttMapping {
    /// The broker.
    pub broker: BrokerSettings,
    /// What to subscribe to, 1-32 filters.
    pub topics: Vec<String>,
    /// Where the parts of an uplink stand.
    pub mapping: HttpMapping,
}

impl MqttMapping {
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        check_broker(&self.broker)?;
        for (index, topic) in self.topics.iter().enumerate() {
            check_filter(topic).map_err(|rule| Malformed::new(format!("topics[{index}]"), rule))?;
        }
        self.mapping.check().map_err(|broken| Malformed {
            field: format!("mapping.{}", broken.field),
            ..broken
        })
    }

    pub(crate) fn subscription(&self) -> Subscription<'_> {
        Subscription {
            broker: &self.broker,
            filters: self.topics.clone(),
        }
    }
}

impl Network for MqttMapping {
    fn split(&self, body: serde_json::Value) -> Result<Vec<serde_json::Value>, Malformed> {
        self.mapping.split(body)
    }

    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        self.mapping.parse(incoming)
    }
}

/// The Things Stack, version 3, by its broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TheThingsStackMqtt {
    /// The broker; its user is the application with its tenant, such as `my-app@ttn`.
    pub broker: BrokerSettings,
}

impl TheThingsStackMqtt {
    /// What the server publishes of a device. Not all below it: there are the hub's own downlinks.
    const NEWS: [&str; 9] = [
        "up",
        "join",
        "down/queued",
        "down/sent",
        "down/ack",
        "down/nack",
        "down/failed",
        "service/data",
        "location/solved",
    ];

    pub(crate) fn check(&self) -> Result<(), Malformed> {
        check_broker(&self.broker)?;
        let rule = "must be the application with its tenant, such as my-app@ttn";
        match &self.broker.username {
            Some(user) if !user.contains(['+', '#', '/']) => Ok(()),
            _ => Err(Malformed::new("broker.username", rule)),
        }
    }

    pub(crate) fn subscription(&self) -> Subscription<'_> {
        let application = self.broker.username.as_deref().unwrap_or_default();
        let filter = |news| format!("v3/{application}/devices/+/{news}");
        Subscription {
            broker: &self.broker,
            filters: Self::NEWS.into_iter().map(filter).collect(),
        }
    }
}

impl Network for TheThingsStackMqtt {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        TheThingsStack::default().parse(incoming)
    }
}

/// ChirpStack, version 4, by its broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChirpStackMqtt {
    /// The broker.
    pub broker: BrokerSettings,
    /// The application's id; every application by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
}

impl ChirpStackMqtt {
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        check_broker(&self.broker)
    }

    pub(crate) fn subscription(&self) -> Subscription<'_> {
        let application = self.application_id.as_deref().unwrap_or("+");
        Subscription {
            broker: &self.broker,
            filters: vec![format!("application/{application}/device/+/event/+")],
        }
    }
}

impl Network for ChirpStackMqtt {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        ChirpStack::default().parse(incoming)
    }
}

fn check_broker(broker: &BrokerSettings) -> Result<(), Malformed> {
    broker
        .check(&BrokerCredentials::default())
        .map_err(|broken| Malformed::new(format!("broker.{}", broken.field), broken.rule))
}
