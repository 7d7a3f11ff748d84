//! ChirpStack v4 over MQTT: the topics to subscribe to. The messages are those of the HTTP integration.

use serde::{Deserialize, Serialize};

use super::uplink::Uplinks;
use crate::{
    mqtt::BrokerSettings,
    networks::{
        event::Event,
        malformed::Malformed,
        uplink::{Incoming, Subscription, UplinkNetwork, check_broker},
    },
};

/// The adapter for ChirpStack v4 over MQTT and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerUplinks {
    /// Broker that sends the uplinks.
    pub broker: BrokerSettings,
    /// Id of the application; every application by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
}

impl UplinkNetwork for BrokerUplinks {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        Uplinks::default().parse(incoming)
    }

    fn check(&self) -> Result<(), Malformed> {
        check_broker(&self.broker)
    }

    fn subscription(&self) -> Option<Subscription<'_>> {
        let application = self.application_id.as_deref().unwrap_or("+");
        Some(Subscription {
            broker: &self.broker,
            filters: vec![format!("application/{application}/device/+/event/+")],
        })
    }

    fn is_fetched() -> bool {
        true
    }
}
