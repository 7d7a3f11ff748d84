//! Network servers: one small adapter for each turns what that server sends into one [`Event`], so
//! that nothing behind this folder knows which network a message came from.
//!
//! Adapters are pure: a JSON body in, an event out, no clock and no store. They are strict with
//! what identifies a message and carries its data (device, port, counter, payload): what is
//! wrong there is [`Malformed`] and names the place. What is not recognisably an uplink is news, whatever
//! it lacks, and never malformed. They are lenient with times and radio metadata: a time that cannot be
//! read is kept as it is told, another part is left out, for nobody should lose a measurement to an odd
//! clock or signal level.
//!
//! Invariant: everything in an [`Event`] is bounded and free of control characters, whatever the
//! body held, so it can be stored as it is.

pub mod actility;
pub mod chirpstack;
pub mod downlink;
pub mod downlink_settings;
mod event;
pub mod everynet;
pub mod helium;
pub mod http;
pub mod kerlink;
mod lorawan;
pub mod loriot;
pub mod mqtt;
#[cfg(test)]
mod properties;
mod read;
#[cfg(test)]
mod sample;
pub mod sigfox;
mod template;
pub mod the_things_stack;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::TenantId,
    secret::{Credentials, Place},
};

pub use event::{
    DownlinkNews, DownlinkState, Event, Names, News, Radio, Reception, Relay, Told, Uplink,
    carries_data,
};
pub use read::{MAX_PAYLOAD_BYTES, PayloadEncoding};

/// Where the sealed secrets of a connection are stored.
pub fn place(tenant: TenantId, id: impl std::fmt::Display) -> Place {
    Place::new("network_connection", tenant, id)
}

/// What the hub's id of a downlink starts with where it is sent along, so that the network server's
/// news of it can be told from those of others.
pub const CORRELATION_PREFIX: &str = "thingshub:downlink:";

/// The kind of a message that does not say what it is.
const UNNAMED: &str = "unnamed";

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

/// Why a message (or a mapping) cannot be read. It never holds a value from the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct Malformed {
    /// Where: a path such as `uplink_message.frm_payload`, or the JSON pointer of a mapping.
    pub field: String,
    /// The rule that was broken there.
    pub rule: String,
}

impl Malformed {
    fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
        }
    }
}

/// How one kind of network server speaks.
pub trait Network: Send + Sync {
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
}

/// Which network server sends, and what must be known to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum NetworkSettings {
    /// The Things Stack, version 3, by webhook.
    #[serde(rename = "the_things_stack")]
    TheThingsStack(the_things_stack::uplink::TheThingsStack),
    /// ChirpStack, version 4, by its HTTP integration.
    #[serde(rename = "chirpstack")]
    ChirpStack(chirpstack::uplink::ChirpStack),
    /// Actility's ThingPark.
    #[serde(rename = "actility")]
    Actility(actility::uplink::Actility),
    /// LORIOT.
    #[serde(rename = "loriot")]
    Loriot(loriot::uplink::Loriot),
    /// Kerlink's Wanesy Management Center.
    #[serde(rename = "kerlink")]
    Kerlink(kerlink::uplink::Kerlink),
    /// Sigfox.
    #[serde(rename = "sigfox")]
    Sigfox(sigfox::uplink::Sigfox),
    /// Everynet.
    #[serde(rename = "everynet")]
    Everynet(everynet::uplink::Everynet),
    /// Helium's Console.
    #[serde(rename = "helium")]
    Helium(helium::uplink::Helium),
    /// Any server that posts JSON.
    #[serde(rename = "http")]
    Http(http::uplink::HttpMapping),
    /// Any broker with messages in JSON.
    #[serde(rename = "mqtt")]
    Mqtt(mqtt::uplink::MqttMapping),
    /// The Things Stack, version 3, by its broker.
    #[serde(rename = "the_things_stack_mqtt")]
    TheThingsStackMqtt(mqtt::uplink::TheThingsStackMqtt),
    /// ChirpStack, version 4, by its broker.
    #[serde(rename = "chirpstack_mqtt")]
    ChirpStackMqtt(mqtt::uplink::ChirpStackMqtt),
}

impl NetworkSettings {
    /// Whether messages can be read by these settings: call it before storing them.
    ///
    /// # Errors
    /// [`Malformed`] that names the setting.
    pub fn check(&self) -> Result<(), Malformed> {
        match self {
            Self::Http(mapping) => mapping.check(),
            Self::Mqtt(mapping) => mapping.check(),
            Self::TheThingsStackMqtt(network) => network.check(),
            Self::ChirpStackMqtt(network) => network.check(),
            _ => Ok(()),
        }
    }

    /// The settings' `type`, as it is stored and written.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TheThingsStack(_) => "the_things_stack",
            Self::ChirpStack(_) => "chirpstack",
            Self::Actility(_) => "actility",
            Self::Loriot(_) => "loriot",
            Self::Kerlink(_) => "kerlink",
            Self::Sigfox(_) => "sigfox",
            Self::Everynet(_) => "everynet",
            Self::Helium(_) => "helium",
            Self::Http(_) => "http",
            Self::Mqtt(_) => "mqtt",
            Self::TheThingsStackMqtt(_) => "the_things_stack_mqtt",
            Self::ChirpStackMqtt(_) => "chirpstack_mqtt",
        }
    }

    /// The adapter for these settings.
    #[must_use]
    pub fn network(&self) -> &dyn Network {
        match self {
            Self::TheThingsStack(network) => network,
            Self::ChirpStack(network) => network,
            Self::Actility(network) => network,
            Self::Loriot(network) => network,
            Self::Kerlink(network) => network,
            Self::Sigfox(network) => network,
            Self::Everynet(network) => network,
            Self::Helium(network) => network,
            Self::Http(network) => network,
            Self::Mqtt(network) => network,
            Self::TheThingsStackMqtt(network) => network,
            Self::ChirpStackMqtt(network) => network,
        }
    }

    /// Whether messages are checked with a secret of the connection, where it has one.
    #[must_use]
    pub fn checks_messages(&self) -> bool {
        matches!(self, Self::Actility(_))
    }

    /// Where the hub fetches the messages itself; `None`: the network server calls.
    #[must_use]
    pub fn subscription(&self) -> Option<mqtt::uplink::Subscription<'_>> {
        match self {
            Self::Mqtt(mapping) => Some(mapping.subscription()),
            Self::TheThingsStackMqtt(network) => Some(network.subscription()),
            Self::ChirpStackMqtt(network) => Some(network.subscription()),
            _ => None,
        }
    }
}

/// Whether a device of this kind of network can have this id there; the rule, if not.
pub fn check_device_id(kind: &str, id: &str) -> Result<(), &'static str> {
    match kind {
        // Their devices are what the mapping says.
        "http" | "mqtt" => Ok(()),
        "sigfox" if sigfox::uplink::is_device_id(id) => Ok(()),
        "sigfox" => Err(
            "must be a Sigfox device id: 1-8 hexadecimal digits in capitals, without leading zeros",
        ),
        _ if is_eui(id) => Ok(()),
        _ => Err("must be a DevEUI of 16 hexadecimal digits for this type of network server"),
    }
}

fn is_eui(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A DevEUI is the same in both cases, and with `-` or `:` between its bytes: networks and people write
/// it in any of these ways.
pub fn fold_network_device_id(id: &str) -> String {
    match without_separators(id) {
        Some(eui) => eui.to_ascii_uppercase(),
        None if is_eui(id) => id.to_ascii_uppercase(),
        None => id.to_owned(),
    }
}

/// A DevEUI that is written with a separator between its bytes, without them.
fn without_separators(id: &str) -> Option<String> {
    const LENGTH: usize = 8 * 2 + 7;
    let separator = id.chars().nth(2).filter(|c| matches!(c, '-' | ':'))?;
    let bytes: Vec<&str> = id.split(separator).collect();
    let is_byte = |byte: &&str| byte.len() == 2;
    let eui = bytes.concat();
    (id.len() == LENGTH && bytes.iter().all(is_byte) && is_eui(&eui)).then_some(eui)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dev_eui_is_the_same_however_it_is_written() {
        for id in [
            "0011223344aabbcc",
            "00-11-22-33-44-AA-BB-CC",
            "00:11:22:33:44:aa:bb:cc",
        ] {
            assert_eq!(fold_network_device_id(id), "0011223344AABBCC");
        }
        for other in [
            "00-11:22-33-44-AA-BB-CC",
            "001-1-22-33-44-AA-BB-CC",
            "00-11-22-33-44-AA-BB",
            "ab-cd",
        ] {
            assert_eq!(fold_network_device_id(other), other);
        }
    }

    #[test]
    fn settings_are_told_apart_by_type_and_closed() {
        let read = |value| serde_json::from_value::<NetworkSettings>(value);
        let stack = read(json!({"type": "the_things_stack"})).expect("no settings needed");
        assert_eq!(
            serde_json::to_value(&stack).ok(),
            Some(json!({"type": "the_things_stack"}))
        );
        assert_eq!(stack.check(), Ok(()));
        assert!(stack.network().parse(Incoming::of(&json!([]))).is_err());

        let mapping = json!({"type": "http", "device_id_pointer": "/id", "payload_pointer": "/p",
                             "payload_encoding": "hex"});
        let http = read(mapping.clone()).expect("a mapping");
        assert_eq!(serde_json::to_value(&http).ok(), Some(mapping));

        for refused in [
            json!({"type": "the_things_stack", "more": 1}),
            json!({"type": "http", "device_id_pointer": "/id", "payload_pointer": "/p",
                   "payload_encoding": "hex", "more": 1}),
            json!({"type": "http", "device_id_pointer": "/id", "payload_encoding": "hex"}),
            json!({"type": "carrier_pigeon"}),
        ] {
            assert!(read(refused.clone()).is_err(), "{refused}");
        }
    }
}
