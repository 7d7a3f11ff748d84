//! Settings of network connections and of their downlinks in the API, generated from the list of network
//! servers.
//!
//! The types of each server are next to this file and not in its folder in [`crate::networks`], because they
//! define the OpenAPI document, and only the API depends on the library that generates it.

pub mod actility;
pub mod chirpstack;
mod claims;
pub mod everynet;
pub mod helium;
pub mod http;
pub mod kerlink;
pub mod loriot;
pub mod mqtt;
pub mod sigfox;
pub mod the_things_stack;

use std::marker::PhantomData;

use poem_openapi::{Enum, Union};
use serde::{Deserialize, Deserializer, Serialize};

use self::claims::Claims;
use crate::{
    api::http::union,
    error::Error,
    hub,
    networks::{NetworkSettings, network_servers},
    secret::Claim,
};

/// Generates the unions of settings and the enum of types from the list of network servers.
macro_rules! unions {
    ($($word:literal => $variant:ident($uplinks:ty)
        $(, takes $downlinks:ty)? $(, implies $implied:ty)?;)+) => {
        /// Type of the network server, and its settings.
        #[derive(Clone, Union, Serialize)]
        #[oai(rename = "NetworkSettings", discriminator_name = "type", one_of = true)]
        #[serde(tag = "type")]
        pub enum Settings {
            $(#[oai(mapping = $word)] #[serde(rename = $word)] $variant($uplinks),)+
        }

        /// Type of a network server.
        #[derive(Clone, Copy, Enum)]
        #[oai(rename = "NetworkType")]
        pub enum NetworkType {
            $(#[oai(rename = $word)] $variant,)+
        }

        impl NetworkType {
            /// Returns the name of the type in the store.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl<'de> Deserialize<'de> for Settings {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                union::read(deserializer, &[$($word),+], |tag, members| match tag {
                    $($word => Some(members.read().map(Self::$variant)),)+
                    _ => None,
                })
            }
        }

        impl Settings {
            /// Takes the secrets out of the settings, so that they are not stored with them.
            pub fn take_claims(&mut self) -> Vec<Claim> {
                match self {
                    $(Self::$variant(settings) => settings.take_claims(),)+
                }
            }
        }

        /// Network server that receives downlinks, and its settings. A downlink cannot be sent if the server's address
        /// is not public, unless the operator has allowed its network (`outgoing_allow`).
        #[derive(Union, Serialize)]
        #[oai(rename = "DownlinkNetwork", discriminator_name = "type", one_of = true)]
        #[serde(tag = "type")]
        pub enum DownlinkNetwork {
            $($(#[oai(mapping = $word)] #[serde(rename = $word)] $variant($downlinks),)?)+
        }

        impl<'de> Deserialize<'de> for DownlinkNetwork {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let words = [$($(word_of(PhantomData::<$downlinks>, $word),)?)+];
                union::read(deserializer, &words, |tag, members| match tag {
                    $($($word => Some(members.read::<$downlinks>().map(Self::$variant)),)?)+
                    _ => None,
                })
            }
        }

        impl DownlinkNetwork {
            /// Takes the secrets out of the settings, so that they are not stored with them.
            pub fn take_claims(&mut self) -> Vec<Claim> {
                match self {
                    $($(Self::$variant(settings) => <$downlinks>::take_claims(settings),)?)+
                }
            }
        }
    };
}
network_servers!(unions);

/// Returns the word of a server whose downlink settings have the type `T`. The type lets the macro repeat this only
/// for servers that have such settings.
const fn word_of<T>(_: PhantomData<T>, word: &'static str) -> &'static str {
    word
}

impl Settings {
    /// Converts the settings to those of the uplink path; fails if messages cannot be read with them.
    pub fn checked(&self) -> Result<NetworkSettings, Error> {
        let settings = serde_json::to_value(self).map_err(Error::internal)?;
        let read =
            serde_json::from_value(settings).map_err(|error| Error::field("settings", error))?;
        hub::networks::check(&read)?;
        Ok(read)
    }
}
