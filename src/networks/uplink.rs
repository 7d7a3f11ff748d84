//! What every adapter does with uplinks, and what it gets for that.

use serde_json::Value;

use super::{device_id::check_dev_eui, event::Event, malformed::Malformed};
use crate::{
    mqtt::{Broken, Broker, BrokerCredentials, BrokerSettings},
    secret::{Address, Credentials, NOWHERE, addresses::BROKER},
};

/// A message as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The body, or the payload over MQTT.
    pub body: &'a Value,
    /// The query parameters of the webhook, in their order, without the ingest key.
    pub query: &'a [(String, String)],
    /// The topic, over MQTT.
    pub topic: Option<&'a str>,
    /// The connection's secrets, where it has any.
    pub credentials: Option<&'a Credentials>,
}

impl<'a> Incoming<'a> {
    /// A body with nothing around it.
    #[must_use]
    pub fn of(body: &'a Value) -> Self {
        Self {
            body,
            query: &[],
            topic: None,
            credentials: None,
        }
    }

    /// A query parameter, whatever the case of its name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        let found = self
            .query
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

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

/// How one kind of network server speaks. Settings of LoRaWAN network servers that call the hub need no more
/// than to parse.
pub trait UplinkNetwork: Send + Sync {
    /// The messages that a body holds: one, but where a network server sends a list of them.
    ///
    /// # Errors
    /// [`Malformed`] where they are too many.
    fn split(&self, body: Value) -> Result<Vec<Value>, Malformed> {
        Ok(vec![body])
    }

    /// Reads one message of the network server.
    ///
    /// # Errors
    /// [`Malformed`], naming the first place that breaks a rule.
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed>;

    /// Whether messages can be read by these settings: call it before storing them.
    ///
    /// # Errors
    /// [`Malformed`] that names the setting.
    fn check(&self) -> Result<(), Malformed> {
        Ok(())
    }

    /// Whether messages are checked with a secret of the connection, where it has one.
    fn checks_messages(&self) -> bool {
        false
    }

    /// Where the hub fetches the messages itself; `None`: the network server calls.
    fn subscription(&self) -> Option<Subscription<'_>> {
        None
    }

    /// Whether connections of this type have a subscription.
    fn is_fetched() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// Whether a device can have this id in the network; the rule, if not.
    ///
    /// # Errors
    /// The rule that is broken.
    fn check_device_id(id: &str) -> Result<(), &'static str>
    where
        Self: Sized,
    {
        check_dev_eui(id)
    }

    /// Where a connection's secrets are sent.
    fn secret_address() -> Address
    where
        Self: Sized,
    {
        match Self::is_fetched() {
            true => BROKER,
            false => NOWHERE,
        }
    }

    /// What the answer to a message says with which a device asks for a downlink; `None`: there is none.
    fn answer(_network_device_id: &str, _payload: Option<&[u8]>) -> Value
    where
        Self: Sized,
    {
        Value::Null
    }

    /// Suffixes of the path that the network server appends to the URL that it was given.
    fn appended_paths() -> &'static [&'static str]
    where
        Self: Sized,
    {
        &[]
    }
}

/// Whether the settings of a connection's broker can be right.
///
/// # Errors
/// [`Malformed`] that names the setting.
pub fn check_broker(broker: &BrokerSettings) -> Result<(), Malformed> {
    broker
        .check(&BrokerCredentials::default())
        .map_err(|broken| Malformed::new(format!("broker.{}", broken.field), broken.rule))
}
