//! Which network servers there are, and what must be known to read the messages of each.

use poem_openapi::{Enum, Object, Union};
use serde::{Deserialize, Deserializer, Serialize};

use super::{mqtt_broker::Broker, strict, types::List};
use crate::{
    error::Error,
    hub,
    secret::Claim,
    text::{JsonPointer, TopicFilter},
    uplink::networks::NetworkSettings,
};

/// Which network server sends, and what must be known to read it
#[derive(Clone, Union, Serialize)]
#[oai(rename = "NetworkSettings", discriminator_name = "type", one_of = true)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Settings {
    #[oai(mapping = "the_things_stack")]
    TheThingsStack(TheThingsStack),
    #[oai(mapping = "http")]
    Http(HttpMapping),
    #[oai(mapping = "mqtt")]
    Mqtt(MqttMapping),
    #[oai(mapping = "the_things_stack_mqtt")]
    TheThingsStackMqtt(TheThingsStackMqtt),
}

/// A type of network server
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", rename = "NetworkType")]
pub enum NetworkType {
    TheThingsStack,
    Http,
    Mqtt,
    TheThingsStackMqtt,
}

impl NetworkType {
    /// The store's word for it.
    pub fn word(self) -> &'static str {
        match self {
            NetworkType::TheThingsStack => "the_things_stack",
            NetworkType::Http => "http",
            NetworkType::Mqtt => "mqtt",
            NetworkType::TheThingsStackMqtt => "the_things_stack_mqtt",
        }
    }
}

/// The Things Stack, version 3, by webhook
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TheThingsStack {}

/// Any server that posts JSON: pointers (RFC 6901) say where the values are
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpMapping {
    /// Where the device's id is, such as its DevEUI
    device_id_pointer: JsonPointer,
    /// Where the payload is
    payload_pointer: JsonPointer,
    /// How the payload is written
    payload_encoding: PayloadEncoding,
    /// Where the LoRaWAN port is
    #[oai(skip_serializing_if_is_none)]
    port_pointer: Option<JsonPointer>,
    /// Where the time of reception is: RFC 3339, or seconds or milliseconds since 1970
    #[oai(skip_serializing_if_is_none)]
    time_pointer: Option<JsonPointer>,
    /// Where the LoRaWAN frame counter is
    #[oai(skip_serializing_if_is_none)]
    frame_counter_pointer: Option<JsonPointer>,
}

/// Any MQTT broker with messages in JSON. The hub subscribes with a lasting session at quality of service 1
/// and acknowledges a message when it is on disk; it asks for no ingest key
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttMapping {
    /// The broker
    broker: Broker,
    /// What to subscribe to; `+` stands for one level, `#` for all that follow
    topics: List<TopicFilter, 1, 32>,
    /// Where the parts of an uplink stand
    mapping: HttpMapping,
}

/// The Things Stack, version 3, by its MQTT broker. The broker's user is the application with its
/// tenant, such as `my-app@ttn`, the password an API key of the application
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TheThingsStackMqtt {
    /// The broker, such as `mqtts://eu1.cloud.thethings.network`
    broker: Broker,
}

/// How a payload is written as text
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PayloadEncoding {
    Hex,
    Base64,
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::union(
            deserializer,
            &["the_things_stack", "http", "mqtt", "the_things_stack_mqtt"],
            |tag, members| match tag {
                "the_things_stack" => Some(members.read().map(Self::TheThingsStack)),
                "http" => Some(members.read().map(Self::Http)),
                "mqtt" => Some(members.read().map(Self::Mqtt)),
                "the_things_stack_mqtt" => Some(members.read().map(Self::TheThingsStackMqtt)),
                _ => None,
            },
        )
    }
}

impl Settings {
    /// The secrets that it asks for; they are taken out.
    pub fn take_claims(&mut self) -> Vec<Claim> {
        let broker = match self {
            Self::Mqtt(settings) => &mut settings.broker,
            Self::TheThingsStackMqtt(settings) => &mut settings.broker,
            Self::TheThingsStack(_) | Self::Http(_) => return Vec::new(),
        };
        broker.take_claims("settings.broker")
    }

    /// The same for the uplink path, if messages can be read by them.
    pub fn checked(&self) -> Result<NetworkSettings, Error> {
        let settings = serde_json::to_value(self).map_err(Error::internal)?;
        let read =
            serde_json::from_value(settings).map_err(|error| Error::field("settings", error))?;
        hub::network_connections::check(&read)?;
        Ok(read)
    }
}
