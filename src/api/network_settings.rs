//! Which network servers there are, and what must be known to read the messages of each.

use poem_openapi::{Enum, Object, Union};
use serde::{Deserialize, Deserializer, Serialize};

use super::strict;
use crate::{error::Error, hub, text::JsonPointer, uplink::networks::NetworkSettings};

/// Which network server sends, and what must be known to read it
#[derive(Clone, Union, Serialize)]
#[oai(rename = "NetworkSettings", discriminator_name = "type", one_of = true)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Settings {
    #[oai(mapping = "the_things_stack")]
    TheThingsStack(TheThingsStack),
    #[oai(mapping = "http")]
    Http(HttpMapping),
}

/// A type of network server
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", rename = "NetworkType")]
pub enum NetworkType {
    TheThingsStack,
    Http,
}

impl NetworkType {
    /// The store's word for it.
    pub fn word(self) -> &'static str {
        match self {
            NetworkType::TheThingsStack => "the_things_stack",
            NetworkType::Http => "http",
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
            &["the_things_stack", "http"],
            |tag, members| match tag {
                "the_things_stack" => Some(members.read().map(Self::TheThingsStack)),
                "http" => Some(members.read().map(Self::Http)),
                _ => None,
            },
        )
    }
}

impl Settings {
    /// The same for the uplink path, if messages can be read by them.
    pub fn checked(&self) -> Result<NetworkSettings, Error> {
        let settings = serde_json::to_value(self).map_err(Error::internal)?;
        let read =
            serde_json::from_value(settings).map_err(|error| Error::field("settings", error))?;
        hub::network_connections::check(&read)?;
        Ok(read)
    }
}
