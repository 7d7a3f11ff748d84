//! Network servers. Each has a folder with its adapters: one converts the server's messages to
//! [`Event`]s, the other converts a downlink to a request or a message. No code outside of this folder
//! depends on the type of a network server.
//!
//! [`network_servers`] lists the types. To add one, add its folder and its line in the list.
//!
//! Adapters are pure: they convert JSON to events without a clock or a store. They are strict with the
//! fields that identify a message and carry its data (device, port, counter, payload): an invalid value
//! is an error, [`Malformed`], that names the field. A message that is not recognised as an uplink is
//! [`News`] and never malformed, whatever it lacks. Adapters are lenient with times and radio metadata:
//! an unreadable time is kept as text and other values are left out, because a wrong clock or signal
//! level must not lose a measurement.
//!
//! Invariant: all values in an [`Event`] are bounded and free of control characters, whatever the body
//! contains, so they can be stored as they are.

pub mod actility;
pub mod chirpstack;
mod device_id;
pub mod downlink;
mod event;
pub mod everynet;
pub mod helium;
pub mod http;
pub mod kerlink;
mod lorawan;
pub mod loriot;
mod malformed;
pub mod mqtt;
#[cfg(test)]
mod properties;
mod read;
#[cfg(test)]
mod sample;
pub mod sigfox;
mod template;
pub mod the_things_stack;
mod uplink;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    device_id::fold_network_device_id,
    downlink::{CORRELATION_PREFIX, Handover, OutgoingDownlink, Taken},
    event::{
        DownlinkNews, DownlinkState, Event, Names, News, Radio, Reception, Relay, Report, Uplink,
        carries_data,
    },
    malformed::Malformed,
    read::{MAX_PAYLOAD_BYTES, PayloadEncoding},
    uplink::{Incoming, Subscription},
};
use self::{
    downlink::{DownlinkNetwork, Implied},
    uplink::UplinkNetwork,
};
use crate::{
    id::TenantId,
    outgoing::{Request, TlsSettings, tls::CLIENT_KEY},
    secret::{Address, Credentials, NOWHERE, Place},
};

/// Passes the list of network servers to a macro. An entry consists of the type's name in the API and
/// in the store, its variant, the settings of its uplinks, and, if the hub can send downlinks, the
/// settings of these. Downlink settings with `implies` are derived from the settings of the uplinks and
/// cannot be chosen by a client.
///
/// The names are literals because derive macros cannot read constants.
macro_rules! network_servers {
    ($expand:ident) => {
        $expand! {
            "the_things_stack" => TheThingsStack(the_things_stack::Uplinks), takes the_things_stack::Downlinks;
            "chirpstack" => ChirpStack(chirpstack::Uplinks), takes chirpstack::Downlinks;
            "actility" => Actility(actility::Uplinks), takes actility::Downlinks;
            "loriot" => Loriot(loriot::Uplinks), takes loriot::Downlinks;
            "kerlink" => Kerlink(kerlink::Uplinks);
            "sigfox" => Sigfox(sigfox::Uplinks), takes sigfox::Downlinks;
            "everynet" => Everynet(everynet::Uplinks);
            "helium" => Helium(helium::Uplinks);
            "http" => Http(http::Uplinks), takes http::Downlinks;
            "mqtt" => Mqtt(mqtt::Uplinks), takes mqtt::Downlinks;
            "the_things_stack_mqtt" => TheThingsStackMqtt(the_things_stack::BrokerUplinks), implies the_things_stack::BrokerDownlinks;
            "chirpstack_mqtt" => ChirpStackMqtt(chirpstack::BrokerUplinks), implies chirpstack::BrokerDownlinks;
        }
    };
}
pub(crate) use network_servers;

/// Generates the code that all types of network servers share.
macro_rules! settings {
    ($($word:literal => $variant:ident($uplinks:ty)
        $(, takes $downlinks:ty)? $(, implies $implied:ty)?;)+) => {
        /// Names of all types of network servers.
        const KINDS: &[&str] = &[$($word),+];

        /// Settings for reading the messages of a network server.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum NetworkSettings {
            $(#[doc = concat!("`", $word, "`.")] #[serde(rename = $word)] $variant($uplinks),)+
        }

        impl NetworkSettings {
            /// Returns the type's name, as in the API and in the store.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $word,)+
                }
            }

            fn network(&self) -> &dyn UplinkNetwork {
                match self {
                    $(Self::$variant(network) => network,)+
                }
            }
        }

        /// Settings for sending downlinks through a network server, without secrets.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum DownlinkSettings {
            $($(#[doc = concat!("`", $word, "`.")] #[serde(rename = $word)] $variant($downlinks),)?)+
            $($(#[doc = concat!("`", $word, "`.")] #[serde(rename = $word)] $variant($implied),)?)+
        }

        impl DownlinkSettings {
            /// Returns the downlink settings that follow from a connection's own settings, if its type implies
            /// any.
            pub fn implied_by(connection: &NetworkSettings) -> Option<Self> {
                match connection {
                    $($(NetworkSettings::$variant(network) => {
                        <$implied>::implied_by(network).map(Self::$variant)
                    })?)+
                    _ => None,
                }
            }

            fn network(&self) -> &dyn DownlinkNetwork {
                match self {
                    $($(Self::$variant(network) => { let network: &$downlinks = network; network })?)+
                    $($(Self::$variant(network) => { let network: &$implied = network; network })?)+
                }
            }
        }

        /// Returns the names of all types.
        pub fn kinds() -> &'static [&'static str] {
            KINDS
        }

        /// Returns the names of the types from whose brokers the hub fetches messages.
        pub fn fetched_kinds() -> Vec<&'static str> {
            let is_fetched = [$(<$uplinks>::is_fetched()),+];
            let kinds = KINDS.iter().zip(is_fetched);
            kinds.filter_map(|(kind, is_fetched)| is_fetched.then_some(*kind)).collect()
        }

        /// Checks that a device can have this id at this type of network server.
        ///
        /// # Errors
        /// The rule that is violated.
        pub fn check_device_id(kind: &str, id: &str) -> Result<(), &'static str> {
            match kind {
                $($word => <$uplinks>::check_device_id(id),)+
                _ => device_id::check_dev_eui(id),
            }
        }

        /// Returns the body of the response to a device's request for a downlink. `payload` is `None` if there
        /// is no downlink.
        pub fn answer(kind: &str, network_device_id: &str, payload: Option<&[u8]>) -> Value {
            match kind {
                $($word => <$uplinks>::answer(network_device_id, payload),)+
                _ => Value::Null,
            }
        }

        /// Setting that holds the address to which the secrets of a connection of this type are sent.
        pub fn secret_address(kind: &str) -> Address {
            match kind {
                $($word => <$uplinks>::secret_address(),)+
                _ => NOWHERE,
            }
        }

        /// Setting that holds the address to which the secret of downlink settings of this type is sent.
        pub fn downlink_secret_address(kind: &str) -> Address {
            match kind {
                $($($word => <$downlinks>::secret_address(),)?)+
                $($($word => <$implied>::secret_address(),)?)+
                _ => NOWHERE,
            }
        }

        /// Returns the path suffixes that network servers append to the configured URL.
        pub fn appended_paths() -> impl Iterator<Item = &'static str> {
            [$(<$uplinks>::appended_paths()),+].into_iter().flatten().copied()
        }
    };
}
network_servers!(settings);

impl NetworkSettings {
    /// Checks that messages can be read with these settings. Must be called before they are stored.
    ///
    /// # Errors
    /// [`Malformed`] that names the invalid setting.
    pub fn check(&self) -> Result<(), Malformed> {
        self.network().check()
    }

    /// Splits a body into messages: one, unless the network server sends lists.
    ///
    /// # Errors
    /// [`Malformed`] if there are too many messages.
    pub fn split(&self, body: Value) -> Result<Vec<Value>, Malformed> {
        self.network().split(body)
    }

    /// Parses one message of the network server.
    ///
    /// # Errors
    /// [`Malformed`] that names the first invalid field.
    pub fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        self.network().parse(incoming)
    }

    /// True if messages are verified with a secret of the connection, if it has one.
    #[must_use]
    pub fn checks_messages(&self) -> bool {
        self.network().checks_messages()
    }

    /// Returns the broker and topics from which the hub fetches messages; `None` if the network server
    /// calls the hub.
    #[must_use]
    pub fn subscription(&self) -> Option<Subscription<'_>> {
        self.network().subscription()
    }
}

impl DownlinkSettings {
    /// Checks that these settings can be used for the connection. The error names the field and the rule.
    pub fn check(&self, connection: &NetworkSettings) -> Result<(), String> {
        if self.is_published() && connection.subscription().is_none() {
            return Err("type: mqtt requires a network connection with a broker".to_owned());
        }
        if self.tls().is_some() && !self.network().url().starts_with("https://") {
            return Err("tls: requires a URL that starts with https://".to_owned());
        }
        self.network().check()
    }

    /// Checks the TLS settings together with the secrets, including those already stored. The error names
    /// the field and the rule.
    pub fn check_secrets(&self, secrets: &Credentials) -> Result<(), String> {
        let tls = self.tls().map(|tls| tls.with(secrets.get(CLIENT_KEY)));
        let checked = tls.map_or(Ok(()), |tls| tls.check());
        checked.map_err(|broken| format!("tls.{broken}"))
    }

    /// TLS settings, if they differ from the default.
    pub fn tls(&self) -> Option<&TlsSettings> {
        self.network().tls()
    }

    /// URL of the network server; empty if the hub does not call it.
    pub fn url(&self) -> &str {
        self.network().url()
    }

    /// True if downlinks are published to the connection's broker.
    pub fn is_published(&self) -> bool {
        self.network().is_published()
    }

    /// True if the hub sends downlinks by itself; false if it waits for the network server to request them.
    pub fn is_pushed(&self) -> bool {
        self.network().is_pushed()
    }

    /// Checks that the network can carry a payload. The error is the rule.
    pub fn check_payload(&self, payload: &[u8]) -> Result<(), String> {
        self.network().check_payload(payload)
    }

    /// Returns the request or message for a downlink. The error says why it cannot be sent yet.
    pub fn handover(
        &self,
        secrets: &Credentials,
        downlink: &OutgoingDownlink,
    ) -> Result<Handover, String> {
        self.network().handover(secrets, downlink)
    }

    /// Returns a request that changes nothing and needs the same credentials as a downlink. `device` is the
    /// network's id of any device. The error says why there is no such request.
    pub fn probe(&self, secrets: &Credentials, device: Option<&str>) -> Result<Request, String> {
        self.network().probe(secrets, device)
    }

    /// Checks the body of a successful response to the probe.
    pub fn read_probe(&self, body: &Value) -> Result<(), String> {
        self.network().read_probe(body)
    }

    /// Reads the body of a successful response; it is null for a broker.
    pub fn read_answer(&self, downlink: &OutgoingDownlink, body: &Value) -> Result<Taken, String> {
        self.network().read_answer(downlink, body)
    }
}

/// Returns the storage location of a connection's encrypted secrets.
pub fn place(tenant: TenantId, id: impl std::fmt::Display) -> Place {
    Place::new("network_connection", tenant, id)
}

/// Returns the storage location of the encrypted secrets of a connection's downlink settings.
pub fn downlink_place(tenant: TenantId, connection: impl std::fmt::Display) -> Place {
    Place::new("downlink", tenant, connection)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_told_apart_by_type_and_closed() {
        let read = |value| serde_json::from_value::<NetworkSettings>(value);
        let stack = read(json!({"type": "the_things_stack"})).expect("no settings needed");
        assert_eq!(
            serde_json::to_value(&stack).ok(),
            Some(json!({"type": "the_things_stack"}))
        );
        assert_eq!(stack.check(), Ok(()));
        assert!(stack.parse(Incoming::of(&json!([]))).is_err());

        let mapping =
            json!({"device_id_pointer": "/id", "payload_pointer": "/p", "payload_encoding": "hex"});
        let settings = json!({"type": "http", "mapping": mapping});
        let http = read(settings.clone()).expect("a mapping");
        assert_eq!(serde_json::to_value(&http).ok(), Some(settings));

        for refused in [
            json!({"type": "the_things_stack", "more": 1}),
            json!({"type": "http", "mapping": mapping, "more": 1}),
            json!({"type": "http", "device_id_pointer": "/id", "payload_pointer": "/p",
                   "payload_encoding": "hex"}),
            json!({"type": "http", "mapping": {"device_id_pointer": "/id", "payload_encoding": "hex"}}),
            json!({"type": "carrier_pigeon"}),
        ] {
            assert!(read(refused.clone()).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_broker_of_a_network_is_checked() {
        for kind in ["the_things_stack_mqtt", "chirpstack_mqtt"] {
            let check = |url: &str| {
                let broker = json!({"url": url, "keep_alive_s": 60, "username": "app@ttn"});
                let settings = json!({"type": kind, "broker": broker});
                let settings = serde_json::from_value::<NetworkSettings>(settings);
                settings.expect("settings of a broker").check()
            };
            assert_eq!(check("mqtts://a.example"), Ok(()), "{kind}");
            assert_eq!(check("http://a.example").unwrap_err().field, "broker.url");
        }
    }

    #[test]
    fn settings_for_downlinks_have_an_address_and_tls() {
        let https = "https://a.example/x";
        for mut settings in [
            json!({"type": "the_things_stack", "base_url": https, "webhook_id": "w"}),
            json!({"type": "chirpstack", "base_url": https}),
            json!({"type": "actility", "url": https}),
            json!({"type": "loriot", "url": https, "application_id": "a"}),
            json!({"type": "http", "method": "POST", "url": https}),
        ] {
            let read = |settings: &Value| {
                let settings = serde_json::from_value::<DownlinkSettings>(settings.clone());
                settings.unwrap_or_else(|error| panic!("{error}"))
            };
            let plain = read(&settings);
            assert_eq!((plain.url(), plain.tls()), (https, None), "{settings}");
            settings["tls"] = json!({"ca": "pem"});
            let with_tls = read(&settings);
            let ca = with_tls.tls().and_then(|tls| tls.ca.as_deref());
            assert_eq!(ca, Some("pem"), "{settings}");
        }
    }
}
