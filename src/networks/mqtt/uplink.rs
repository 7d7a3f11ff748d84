//! Uplinks as JSON from any MQTT broker.

use serde::{Deserialize, Serialize};

use crate::{
    mqtt::{BrokerSettings, check_filter},
    networks::{
        event::Event,
        http,
        malformed::Malformed,
        uplink::{Incoming, Subscription, UplinkNetwork, check_broker},
    },
};

/// Settings of the broker, the topics and the mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplinks {
    /// Broker that sends the uplinks.
    pub broker: BrokerSettings,
    /// Topic filters to subscribe to, 1-32.
    pub topics: Vec<String>,
    /// JSON pointers to the parts of an uplink.
    pub mapping: http::Mapping,
}

impl UplinkNetwork for Uplinks {
    fn split(&self, body: serde_json::Value) -> Result<Vec<serde_json::Value>, Malformed> {
        self.mapping.split(body)
    }

    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        self.mapping.parse(incoming)
    }

    fn check(&self) -> Result<(), Malformed> {
        check_broker(&self.broker)?;
        for (index, topic) in self.topics.iter().enumerate() {
            check_filter(topic).map_err(|rule| Malformed::new(format!("topics[{index}]"), rule))?;
        }
        self.mapping.check()
    }

    fn subscription(&self) -> Option<Subscription<'_>> {
        Some(Subscription {
            broker: &self.broker,
            filters: self.topics.clone(),
        })
    }

    fn is_fetched() -> bool {
        true
    }

    /// Accepts any id, because the mapping determines the ids.
    fn check_device_id(_: &str) -> Result<(), &'static str> {
        Ok(())
    }
}
