//! Which network servers there are, and what must be known to read the messages of each.

use poem_openapi::{Enum, Object, Union};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    api::http::{mqtt_broker::Broker, strict, types::List},
    error::Error,
    hub,
    networks::{NetworkSettings, actility::uplink::AS_KEY},
    secret::{Claim, NOWHERE},
    text::{AsKey, JsonPointer, TopicFilter, TopicLevel},
};

/// Makes the union of settings and the list of types from one table.
macro_rules! network_types {
    ($($word:literal => $variant:ident($settings:ident)),+ $(,)?) => {
        /// Which network server sends, and what must be known to read it
        #[derive(Clone, Union, Serialize)]
        #[oai(rename = "NetworkSettings", discriminator_name = "type", one_of = true)]
        #[serde(tag = "type")]
        pub enum Settings {
            $(#[oai(mapping = $word)] #[serde(rename = $word)] $variant($settings),)+
        }

        /// A type of network server
        #[derive(Clone, Copy, Enum)]
        #[oai(rename = "NetworkType")]
        pub enum NetworkType {
            $(#[oai(rename = $word)] $variant,)+
        }

        impl NetworkType {
            /// The store's word for it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl<'de> Deserialize<'de> for Settings {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                strict::union(deserializer, &[$($word),+], |tag, members| match tag {
                    $($word => Some(members.read().map(Self::$variant)),)+
                    _ => None,
                })
            }
        }
    };
}

network_types! {
    "the_things_stack" => TheThingsStack(TheThingsStack),
    "chirpstack" => ChirpStack(ChirpStack),
    "actility" => Actility(Actility),
    "loriot" => Loriot(Loriot),
    "kerlink" => Kerlink(Kerlink),
    "sigfox" => Sigfox(Sigfox),
    "everynet" => Everynet(Everynet),
    "helium" => Helium(Helium),
    "http" => Http(HttpMapping),
    "mqtt" => Mqtt(MqttMapping),
    "the_things_stack_mqtt" => TheThingsStackMqtt(TheThingsStackMqtt),
    "chirpstack_mqtt" => ChirpStackMqtt(ChirpStackMqtt),
}

/// The Things Stack, version 3, by webhook
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TheThingsStack {}

/// ChirpStack, version 4, by its HTTP integration with JSON
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChirpStack {}

/// Actility's ThingPark, by its HTTP tunnel interface with JSON
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actility {
    /// The tunnel interface authentication key (AS key): where it is known, messages without the right
    /// `Token` are refused. Never shown again. Left out of an update, the old one stays
    #[oai(write_only)]
    #[serde(skip_serializing)]
    as_key: Option<AsKey>,
}

/// LORIOT, by its HTTP push output
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loriot {}

/// Kerlink's Wanesy Management Center, by its HTTP push
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kerlink {}

/// Sigfox, by callbacks with a body of JSON
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigfox {}

/// Everynet, by its HTTP data API
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Everynet {}

/// Helium's Console, by its HTTP integration; a Helium network on ChirpStack is `chirpstack`
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Helium {}

/// Any server that posts JSON: pointers (RFC 6901) say where the values are
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpMapping {
    /// Where the device's id is, such as its DevEUI. A pointer leads through JSON that stands in text. Where
    /// the body is a list and all pointers start with `/0`, each item is a message
    device_id_pointer: JsonPointer,
    /// Where the payload is: text, a list of bytes, or, where the pointer is empty, the body itself as JSON. A
    /// message that has nothing there is no uplink and becomes an event
    payload_pointer: JsonPointer,
    /// How the payload is written
    payload_encoding: PayloadEncoding,
    /// Where the LoRaWAN port is
    #[oai(skip_serializing_if_is_none)]
    port_pointer: Option<JsonPointer>,
    /// Where the time of reception is: RFC 3339 (UTC without a zone), or seconds or milliseconds since 1970.
    /// Where it cannot be read, the hub's own time counts
    #[oai(skip_serializing_if_is_none)]
    time_pointer: Option<JsonPointer>,
    /// Where the LoRaWAN frame counter is
    #[oai(skip_serializing_if_is_none)]
    frame_counter_pointer: Option<JsonPointer>,
    /// Pointers to the signal, the gateways and the data rate
    #[oai(skip_serializing_if_is_none)]
    radio: Option<Box<RadioMapping>>,
}

/// Pointers to how an uplink was received. All of it is for information: what cannot be read is left out
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadioMapping {
    /// The list of the gateways that heard the uplink. With it, `gateway_pointer`, `rssi_pointer` and
    /// `snr_pointer` begin at an item of the list, and the gateway that heard the uplink best gives its signal;
    /// without it, they begin at the body
    #[oai(skip_serializing_if_is_none)]
    receptions_pointer: Option<JsonPointer>,
    /// The gateway's id
    #[oai(skip_serializing_if_is_none)]
    gateway_pointer: Option<JsonPointer>,
    /// The signal strength in dBm
    #[oai(skip_serializing_if_is_none)]
    rssi_pointer: Option<JsonPointer>,
    /// The signal to noise ratio in dB
    #[oai(skip_serializing_if_is_none)]
    snr_pointer: Option<JsonPointer>,
    /// The frequency: in MHz below 10,000, in kHz below 10,000,000, else in Hz
    #[oai(skip_serializing_if_is_none)]
    frequency_pointer: Option<JsonPointer>,
    /// The data rate as text, such as `SF7BW125`
    #[oai(skip_serializing_if_is_none)]
    data_rate_pointer: Option<JsonPointer>,
    /// The spreading factor
    #[oai(skip_serializing_if_is_none)]
    spread_factor_pointer: Option<JsonPointer>,
    /// The bandwidth: in kHz below 5,000, else in Hz
    #[oai(skip_serializing_if_is_none)]
    bandwidth_pointer: Option<JsonPointer>,
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

/// ChirpStack, version 4, by its MQTT integration with JSON
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChirpStackMqtt {
    /// The broker
    broker: Broker,
    /// The application's id; every application by default
    #[oai(skip_serializing_if_is_none)]
    application_id: Option<TopicLevel>,
}

/// How a payload is written
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PayloadEncoding {
    /// Two hexadecimal digits a byte
    Hex,
    /// Base64, standard or URL-safe
    Base64,
    /// JSON; the driver gets its text
    Json,
}

impl Settings {
    /// The secrets that the settings ask for. They are no part of what is stored with the settings.
    pub fn take_claims(&mut self) -> Vec<Claim> {
        match self {
            Self::Actility(actility) => {
                let as_key = actility.as_key.take().map(AsKey::into_string);
                vec![Claim::optional(AS_KEY, "settings.as_key", as_key, NOWHERE)]
            }
            Self::Mqtt(settings) => settings.broker.take_claims("settings"),
            Self::TheThingsStackMqtt(settings) => settings.broker.take_claims("settings"),
            Self::ChirpStackMqtt(settings) => settings.broker.take_claims("settings"),
            _ => Vec::new(),
        }
    }

    /// The same for the uplink path, if messages can be read by them.
    pub fn checked(&self) -> Result<NetworkSettings, Error> {
        let settings = serde_json::to_value(self).map_err(Error::internal)?;
        let read =
            serde_json::from_value(settings).map_err(|error| Error::field("settings", error))?;
        hub::networks::check(&read)?;
        Ok(read)
    }
}
