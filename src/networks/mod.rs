//! Network servers: a folder for each has its adapters. One turns what that server sends into an
//! [`Event`], the other a downlink into the request or the message that hands it over, so that nothing
//! outside of this folder knows which network a message comes from or goes to.
//!
//! [`network_servers`] is the list of them; a server is added by its folder and its line there.
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
    downlink::{CORRELATION_PREFIX, Handover, Parcel, Taken},
    event::{
        DownlinkNews, DownlinkState, Event, Names, News, Radio, Reception, Relay, Told, Uplink,
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

/// The list of network servers, handed to a macro: the word by which clients and the store call one, its
/// variant, the settings of its uplinks, and where the hub sends downlinks, the settings for that. Those that
/// are implied by the settings of the uplinks are no choice of a client's.
///
/// The words are literals, because derives read no constants.
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

/// Makes what all network servers have in common out of the list.
macro_rules! settings {
    ($($word:literal => $variant:ident($uplinks:ty)
        $(, takes $downlinks:ty)? $(, implies $implied:ty)?;)+) => {
        /// The words of all types of network servers.
        const KINDS: &[&str] = &[$($word),+];

        /// Which network server sends, and what must be known to read it.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum NetworkSettings {
            $(#[doc = concat!("`", $word, "`.")] #[serde(rename = $word)] $variant($uplinks),)+
        }

        impl NetworkSettings {
            /// The settings' `type`, as it is stored and written.
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

        /// Which network server takes downlinks, and what must be known to hand them over. Secrets are not
        /// in it.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum DownlinkSettings {
            $($(#[doc = concat!("`", $word, "`.")] #[serde(rename = $word)] $variant($downlinks),)?)+
            $($(#[doc = concat!("`", $word, "`.")] #[serde(rename = $word)] $variant($implied),)?)+
        }

        impl DownlinkSettings {
            /// Those of a connection for which nobody has set any, where its own settings tell all that must
            /// be known.
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

        /// The words of those from whose brokers the hub fetches messages.
        pub fn fetched_kinds() -> Vec<&'static str> {
            let is_fetched = [$(<$uplinks>::is_fetched()),+];
            let kinds = KINDS.iter().zip(is_fetched);
            kinds.filter_map(|(kind, is_fetched)| is_fetched.then_some(*kind)).collect()
        }

        /// Whether a device of this type of network server can have this id there; the rule, if not.
        ///
        /// # Errors
        /// The rule that is broken.
        pub fn check_device_id(kind: &str, id: &str) -> Result<(), &'static str> {
            match kind {
                $($word => <$uplinks>::check_device_id(id),)+
                _ => device_id::check_dev_eui(id),
            }
        }

        /// What the answer to a message says with which a device asks for a downlink.
        pub fn answer(kind: &str, network_device_id: &str, payload: Option<&[u8]>) -> Value {
            match kind {
                $($word => <$uplinks>::answer(network_device_id, payload),)+
                _ => Value::Null,
            }
        }

        /// Where the secrets of a connection of this type are sent.
        pub fn secret_address(kind: &str) -> Address {
            match kind {
                $($word => <$uplinks>::secret_address(),)+
                _ => NOWHERE,
            }
        }

        /// Where the secret of downlink settings of this type is sent.
        pub fn downlink_secret_address(kind: &str) -> Address {
            match kind {
                $($($word => <$downlinks>::secret_address(),)?)+
                $($($word => <$implied>::secret_address(),)?)+
                _ => NOWHERE,
            }
        }

        /// Suffixes of the path that some network servers append to the URL that they were given.
        pub fn appended_paths() -> impl Iterator<Item = &'static str> {
            [$(<$uplinks>::appended_paths()),+].into_iter().flatten().copied()
        }
    };
}
network_servers!(settings);

impl NetworkSettings {
    /// Whether messages can be read by these settings: call it before storing them.
    ///
    /// # Errors
    /// [`Malformed`] that names the setting.
    pub fn check(&self) -> Result<(), Malformed> {
        self.network().check()
    }

    /// The messages that a body holds: one, but where a network server sends a list of them.
    ///
    /// # Errors
    /// [`Malformed`] where they are too many.
    pub fn split(&self, body: Value) -> Result<Vec<Value>, Malformed> {
        self.network().split(body)
    }

    /// Reads one message of the network server.
    ///
    /// # Errors
    /// [`Malformed`], naming the first place that breaks a rule.
    pub fn parse(&self, incoming: Incoming<'_>) -> Result<Event, Malformed> {
        self.network().parse(incoming)
    }

    /// Whether messages are checked with a secret of the connection, where it has one.
    #[must_use]
    pub fn checks_messages(&self) -> bool {
        self.network().checks_messages()
    }

    /// Where the hub fetches the messages itself; `None`: the network server calls.
    #[must_use]
    pub fn subscription(&self) -> Option<Subscription<'_>> {
        self.network().subscription()
    }
}

impl DownlinkSettings {
    /// Whether they can be used for the connection; the error names the field and the rule.
    pub fn check(&self, connection: &NetworkSettings) -> Result<(), String> {
        if self.is_published() && connection.subscription().is_none() {
            return Err("type: mqtt needs a network connection that has a broker".to_owned());
        }
        if self.tls().is_some() && !self.network().url().starts_with("https://") {
            return Err("tls: needs a URL that starts with https://".to_owned());
        }
        self.network().check()
    }

    /// Whether TLS can be spoken with these secrets, those that were kept among them; the error names the
    /// field and the rule.
    pub fn check_secrets(&self, secrets: &Credentials) -> Result<(), String> {
        let tls = self.tls().map(|tls| tls.with(secrets.get(CLIENT_KEY)));
        let checked = tls.map_or(Ok(()), |tls| tls.check());
        checked.map_err(|broken| format!("tls.{broken}"))
    }

    /// TLS with the server, where it is not as usual.
    pub fn tls(&self) -> Option<&TlsSettings> {
        self.network().tls()
    }

    /// Whether the connection's broker takes them.
    pub fn is_published(&self) -> bool {
        self.network().is_published()
    }

    /// Whether the hub sends by itself; else it waits to be asked.
    pub fn is_pushed(&self) -> bool {
        self.network().is_pushed()
    }

    /// Whether the network carries a payload; the rule, if not.
    pub fn check_payload(&self, payload: &[u8]) -> Result<(), String> {
        self.network().check_payload(payload)
    }

    /// What hands a downlink over; why nothing does yet, for a person.
    pub fn handover(&self, secrets: &Credentials, parcel: &Parcel) -> Result<Handover, String> {
        self.network().handover(secrets, parcel)
    }

    /// A question that changes nothing and needs the same credentials as a downlink; `device` is the
    /// network's id of any device. Why there is none, for a person.
    pub fn probe(&self, secrets: &Credentials, device: Option<&str>) -> Result<Request, String> {
        self.network().probe(secrets, device)
    }

    /// What a good answer to the question means.
    pub fn read_probe(&self, body: &Value) -> Result<(), String> {
        self.network().read_probe(body)
    }

    /// What an answer with a good status means; a broker's is empty.
    pub fn read_answer(&self, parcel: &Parcel, body: &Value) -> Result<Taken, String> {
        self.network().read_answer(parcel, body)
    }
}

/// Where the sealed secrets of a connection are stored.
pub fn place(tenant: TenantId, id: impl std::fmt::Display) -> Place {
    Place::new("network_connection", tenant, id)
}

/// Where the sealed secrets of a connection's downlink settings are stored.
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
