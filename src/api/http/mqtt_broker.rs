//! Settings of an MQTT broker in the API: the same object wherever the hub connects to one.

use poem_openapi::Object;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::types::Int;
use crate::{
    mqtt::{self, BrokerCredentials, BrokerSettings},
    secret::{Claim, SealedCredentials, addresses::BROKER},
    text::{Alpn, BrokerUrl, ClientId, Login, MessageText, Pem, SecretText, TopicTemplate},
};

/// MQTT quality of service: 0 at most once, 1 at least once, 2 exactly once.
pub type Quality = Int<0, 2>;
/// Keep-alive interval in seconds.
type KeepAlive = Int<5, 3600>;

/// A broker that speaks MQTT 3.1.1. Its certificate is always checked; private addresses are refused
/// unless the operator has allowed them
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
#[oai(rename = "MqttBroker")]
pub struct Broker {
    /// Where it is: `mqtt://`, `mqtts://` (with TLS), `ws://` or `wss://` (by WebSocket), host, port
    /// (1883, 8883, 80 and 443 by default) and, by WebSocket, the path
    url: BrokerUrl,
    /// What the hub calls itself there; the hub makes one by default. No two connections may have the
    /// same at a time: the broker ends the older one
    #[oai(skip_serializing_if_is_none)]
    client_id: Option<ClientId>,
    /// The user
    #[oai(skip_serializing_if_is_none)]
    username: Option<Login>,
    /// The user's password; never shown again. Left out of an update, the old one stays while
    /// the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    password: Option<SecretText>,
    /// Seconds of silence after which the hub asks whether the broker is still there
    #[oai(default = "half_a_minute")]
    #[serde(default = "half_a_minute")]
    keep_alive_s: KeepAlive,
    /// Certificates, in PEM, of which one must have signed the broker's; those of the hub's system by
    /// default
    #[oai(skip_serializing_if_is_none)]
    ca: Option<Pem>,
    /// The hub's own certificate with its chain, in PEM, for brokers that ask for one
    #[oai(skip_serializing_if_is_none)]
    client_certificate: Option<Pem>,
    /// The key of that certificate, in PEM; never shown again. Left out of an update, the old one stays while
    /// the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    client_key: Option<Pem>,
    /// The protocol that TLS is to name (ALPN): AWS IoT Core wants `x-amzn-mqtt-ca` on port 443
    #[oai(skip_serializing_if_is_none)]
    alpn: Option<Alpn>,
    /// What the broker publishes when the hub is gone without a word
    #[oai(skip_serializing_if_is_none)]
    last_will: Option<LastWill>,
    /// For Azure IoT Hub, in place of a password: the key of the device that `client_id` names, in base64.
    /// The hub signs a token with it for each connection. Never shown again; left out of an update,
    /// the old one stays while the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    shared_access_key: Option<SecretText>,
    /// The policy whose key `shared_access_key` is; left out, it is the device's own
    #[oai(skip_serializing_if_is_none)]
    shared_access_policy: Option<Login>,
}

/// What the broker publishes when the hub is gone without a word
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MqttLastWill")]
struct LastWill {
    /// To where
    topic: TopicTemplate,
    /// What; empty by default
    #[oai(default = "no_text")]
    #[serde(default = "no_text")]
    payload: MessageText,
    /// The quality of service: 0 at most once, 1 at least once, 2 exactly once
    #[oai(default = "at_most_once")]
    #[serde(default = "at_most_once")]
    qos: Quality,
    /// Whether the broker keeps it for those who come later
    #[oai(default)]
    #[serde(default)]
    retain: bool,
}

/// A broker, without its secrets
#[derive(Object, Serialize, Deserialize)]
#[oai(rename = "MqttBrokerView")]
pub struct BrokerView {
    /// Where it is
    url: String,
    /// What the hub calls itself there; null: a name of the hub's own
    client_id: Option<String>,
    /// The user
    username: Option<String>,
    /// Whether a password is stored
    #[serde(default)]
    has_password: bool,
    /// Seconds of silence after which the hub asks whether the broker is still there
    keep_alive_s: KeepAlive,
    /// Certificates of which one must have signed the broker's; null: those of the hub's system
    ca: Option<String>,
    /// The hub's own certificate with its chain
    client_certificate: Option<String>,
    /// Whether the key of that certificate is stored
    #[serde(default)]
    has_client_key: bool,
    /// The protocol that TLS names (ALPN)
    alpn: Option<String>,
    /// What the broker publishes when the hub is gone without a word
    last_will: Option<LastWill>,
    /// Whether a key for Azure IoT Hub is stored
    #[serde(default)]
    has_shared_access_key: bool,
    /// The policy whose key that is; null: the device's own
    shared_access_policy: Option<String>,
}

fn half_a_minute() -> KeepAlive {
    KeepAlive::saturating(30)
}

/// Returns quality of service 0.
pub fn at_most_once() -> Quality {
    Quality::saturating(0)
}

/// Returns quality of service 1.
pub fn at_least_once() -> Quality {
    Quality::saturating(1)
}

fn no_text() -> MessageText {
    MessageText::default()
}

impl Serialize for Broker {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Broker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let broker = Self::deserialize(deserializer)?;
        match broker.check() {
            Ok(()) => Ok(broker),
            Err(broken) => Err(de::Error::custom(format!(".{broken}"))),
        }
    }
}

impl Broker {
    /// Takes the secrets out of the settings and returns them as claims. `place` is the path of the object
    /// whose member `broker` this is.
    pub fn take_claims(&mut self, place: &str) -> Vec<Claim> {
        let claim = |name, secret: Option<String>, is_required| Claim {
            name: String::from(name),
            field: format!("{place}.broker.{name}"),
            secret,
            is_required,
            sent_to: BROKER,
        };
        let (password, key) = (self.password.take(), self.shared_access_key.take());
        let mut claims = Vec::new();
        // A password and a shared access key exclude each other, so giving one replaces the stored other one.
        if self.username.is_some() && key.is_none() {
            let password = password.as_ref().map(|text| text.as_str().to_owned());
            claims.push(claim(mqtt::PASSWORD, password, false));
        }
        if password.is_none() {
            let is_required = self.shared_access_policy.is_some();
            let key = key.map(SecretText::into_string);
            claims.push(claim(mqtt::SHARED_ACCESS_KEY, key, is_required));
        }
        if self.client_certificate.is_some() {
            let key = self.client_key.take().map(Pem::into_string);
            claims.push(claim(mqtt::CLIENT_KEY, key, true));
        }
        claims
    }

    fn check(&self) -> Result<(), mqtt::Broken> {
        let text = |text: &Option<SecretText>| text.as_ref().map(|text| text.as_str().to_owned());
        let credentials = BrokerCredentials {
            password: text(&self.password),
            client_key: self.client_key.as_ref().map(|key| key.as_str().to_owned()),
            shared_access_key: text(&self.shared_access_key),
        };
        self.settings().check(&credentials)
    }

    fn settings(&self) -> BrokerSettings {
        let Self {
            url,
            client_id,
            username,
            password: _,
            keep_alive_s,
            ca,
            client_certificate,
            client_key: _,
            alpn,
            last_will,
            shared_access_key: _,
            shared_access_policy,
        } = self;
        BrokerSettings {
            url: url.to_string(),
            client_id: client_id.as_ref().map(ToString::to_string),
            username: username.as_ref().map(ToString::to_string),
            keep_alive_s: u16::try_from(**keep_alive_s).unwrap_or(u16::MAX),
            ca: ca.as_ref().map(ToString::to_string),
            client_certificate: client_certificate.as_ref().map(ToString::to_string),
            alpn: alpn.as_ref().map(ToString::to_string),
            last_will: last_will.as_ref().map(|will| mqtt::LastWill {
                topic: will.topic.to_string(),
                payload: will.payload.to_string(),
                qos: u8::try_from(*will.qos).unwrap_or(2),
                retain: will.retain,
            }),
            shared_access_policy: shared_access_policy.as_ref().map(ToString::to_string),
        }
    }
}

impl BrokerView {
    /// Adds which secrets are stored.
    pub fn with(self, secrets: &SealedCredentials) -> Self {
        Self {
            has_password: secrets.has(mqtt::PASSWORD),
            has_client_key: secrets.has(mqtt::CLIENT_KEY),
            has_shared_access_key: secrets.has(mqtt::SHARED_ACCESS_KEY),
            ..self
        }
    }
}
