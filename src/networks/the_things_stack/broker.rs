//! The Things Stack v3 over MQTT: the topics to subscribe to. The messages are those of the webhook.

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

/// The adapter for The Things Stack v3 over MQTT and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerUplinks {
    /// Broker that sends the uplinks; its user is the application with its tenant, such as `my-app@ttn`.
    pub broker: BrokerSettings,
}

impl BrokerUplinks {
    /// Topic suffixes of the server's messages about a device. A wildcard would include the hub's own
    /// downlinks.
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
}

impl UplinkNetwork for BrokerUplinks {
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        Uplinks::default().parse(incoming)
    }

    fn check(&self) -> Result<(), Malformed> {
        check_broker(&self.broker)?;
        let rule = "must be the application with its tenant, such as my-app@ttn";
        match &self.broker.username {
            Some(user) if !user.contains(['+', '#', '/']) => Ok(()),
            _ => Err(Malformed::new("broker.username", rule)),
        }
    }

    fn subscription(&self) -> Option<Subscription<'_>> {
        let application = self.broker.username.as_deref().unwrap_or_default();
        let filter = |news| format!("v3/{application}/devices/+/{news}");
        Some(Subscription {
            broker: &self.broker,
            filters: Self::NEWS.into_iter().map(filter).collect(),
        })
    }

    fn is_fetched() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_user_is_a_level_of_the_topics() {
        for (user, is_allowed) in [
            (json!("my-app@ttn"), true),
            (json!("+"), false),
            (json!("a/#"), false),
            (json!(null), false),
        ] {
            let broker = json!({"url": "mqtts://a.example", "keep_alive_s": 60, "username": user});
            let settings: BrokerUplinks =
                serde_json::from_value(json!({"broker": broker})).unwrap();
            let checked = settings.check();
            assert_eq!(checked.is_ok(), is_allowed, "{user}: {checked:?}");
            if is_allowed {
                let topics = settings.subscription().unwrap().filters;
                for news in [
                    "up",
                    "join",
                    "down/queued",
                    "down/sent",
                    "down/ack",
                    "down/nack",
                    "down/failed",
                    "location/solved",
                    "service/data",
                ] {
                    let topic = format!("v3/my-app@ttn/devices/+/{news}");
                    assert!(topics.contains(&topic), "{topic}: {topics:?}");
                }
            }
        }
    }
}
