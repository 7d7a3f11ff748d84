//! Interface of the adapters for uplinks, and their input.

use serde_json::Value;

use super::{device_id::check_dev_eui, event::Event, malformed::Malformed};
use crate::{
    mqtt::{Broken, Broker, BrokerCredentials, BrokerSettings},
    secret::{Address, Credentials, NOWHERE, addresses::BROKER},
};

/// A message as received.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Request body, or MQTT payload.
    pub body: &'a Value,
    /// Query parameters of the webhook in their order, without the ingest key.
    pub query: &'a [(String, String)],
    /// MQTT topic; `None` for HTTP.
    pub topic: Option<&'a str>,
    /// Secrets of the connection, if there are any.
    pub credentials: Option<&'a Credentials>,
}

impl<'a> Incoming<'a> {
    /// Creates a message that consists of a body only.
    #[must_use]
    pub fn of(body: &'a Value) -> Self {
        Self {
            body,
            query: &[],
            topic: None,
            credentials: None,
        }
    }

    /// Returns a query parameter; the case of its name is ignored.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        let found = self
            .query
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Broker and topics of a connection whose messages the hub fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// Broker settings.
    pub broker: &'a BrokerSettings,
    /// Topic filters.
    pub filters: Vec<String>,
}

impl Subscription<'_> {
    /// Returns the broker with the connection's secrets. `client_id` is used if the settings contain none.
    ///
    /// # Errors
    /// The first rule that settings and secrets violate.
    pub fn broker(&self, secrets: &Credentials, client_id: &str) -> Result<Broker, Broken> {
        let secrets = BrokerCredentials::read(|name| secrets.get(name));
        Broker::new(self.broker.clone(), secrets, client_id)
    }
}

/// Settings for reading the messages of one type of network server. LoRaWAN network servers that call
/// the hub only need `parse`.
pub trait UplinkNetwork: Send + Sync {
    /// Splits a body into messages: one, unless the network server sends lists.
    ///
    /// # Errors
    /// [`Malformed`] if there are too many messages.
    fn split(&self, body: Value) -> Result<Vec<Value>, Malformed> {
        Ok(vec![body])
    }

    /// Parses one message of the network server.
    ///
    /// # Errors
    /// [`Malformed`] that names the first invalid field.
    fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed>;

    /// Checks that messages can be read with these settings. Must be called before they are stored.
    ///
    /// # Errors
    /// [`Malformed`] that names the invalid setting.
    fn check(&self) -> Result<(), Malformed> {
        Ok(())
    }

    /// True if messages are verified with a secret of the connection, if it has one.
    fn checks_messages(&self) -> bool {
        false
    }

    /// Returns the broker and topics from which the hub fetches messages; `None` if the network server
    /// calls the hub.
    fn subscription(&self) -> Option<Subscription<'_>> {
        None
    }

    /// True if connections of this type have a subscription.
    fn is_fetched() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// Checks that a device can have this id in the network.
    ///
    /// # Errors
    /// The rule that is violated.
    fn check_device_id(id: &str) -> Result<(), &'static str>
    where
        Self: Sized,
    {
        check_dev_eui(id)
    }

    /// Setting that holds the address to which a connection's secrets are sent.
    fn secret_address() -> Address
    where
        Self: Sized,
    {
        match Self::is_fetched() {
            true => BROKER,
            false => NOWHERE,
        }
    }

    /// Returns the body of the response to a device's request for a downlink; null if the network has none.
    fn answer(_network_device_id: &str, _payload: Option<&[u8]>) -> Value
    where
        Self: Sized,
    {
        Value::Null
    }

    /// Returns the path suffixes that the network server appends to the configured URL.
    fn appended_paths() -> &'static [&'static str]
    where
        Self: Sized,
    {
        &[]
    }
}

/// Validates the broker settings of a connection.
///
/// # Errors
/// [`Malformed`] that names the invalid setting.
pub fn check_broker(broker: &BrokerSettings) -> Result<(), Malformed> {
    broker
        .check(&BrokerCredentials::default())
        .map_err(|broken| Malformed::new(format!("broker.{}", broken.field), broken.rule))
}
