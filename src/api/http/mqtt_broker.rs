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

/// MQTT 3.1.1 broker. With `mqtts://` and `wss://`, its certificate is always verified. Private addresses are rejected
/// unless the operator has allowed them (setting `outgoing_allow`).
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
#[oai(rename = "MqttBroker")]
pub struct Broker {
    /// URL of the broker: `mqtt://`, `mqtts://` (TLS), `ws://` or `wss://` (WebSocket, with TLS), followed by the host,
    /// an optional port and, for WebSocket, a path. The default ports are 1883, 8883, 80 and 443. The URL must not
    /// contain a user name, a password or a fragment.
    url: BrokerUrl,
    /// Client identifier of the hub at the broker. Two connections must not use the same identifier at the same time,
    /// because the broker ends the older one. Required with `shared_access_key`. Null or absent: the hub generates one.
    #[oai(skip_serializing_if_is_none)]
    client_id: Option<ClientId>,
    /// User name at the broker. Required with `password`. Null or absent: the hub logs in without a user name, or with
    /// the one that Azure IoT Hub expects if `shared_access_key` is given.
    #[oai(skip_serializing_if_is_none)]
    username: Option<Login>,
    /// Password of the user. Must not be combined with `shared_access_key`. Write-only. Null or absent in an update:
    /// the stored password is kept if scheme, host and port of the URL stay the same; otherwise the request fails with
    /// 400.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    password: Option<SecretText>,
    /// Keep-alive interval in seconds: after this time without traffic, the hub checks that the broker still responds.
    #[oai(default = "half_a_minute")]
    #[serde(default = "half_a_minute")]
    keep_alive_s: KeepAlive,
    /// Certificates of the authorities that the hub trusts for this broker, in PEM. Needs a URL that starts with
    /// `mqtts://` or `wss://`. Null or absent: the hub trusts the certificates of its system.
    #[oai(skip_serializing_if_is_none)]
    ca: Option<Pem>,
    /// Certificate of the hub, followed by its chain, in PEM, for brokers that require one (mutual TLS). Needs
    /// `client_key` and a URL that starts with `mqtts://` or `wss://`. Null or absent: the hub presents none.
    #[oai(skip_serializing_if_is_none)]
    client_certificate: Option<Pem>,
    /// Private key of `client_certificate`, in PEM. Write-only. Null or absent in an update: the stored key is kept if
    /// scheme, host and port of the URL stay the same; otherwise the request fails with 400.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    client_key: Option<Pem>,
    /// Protocol name that TLS announces (ALPN). AWS IoT Core needs `x-amzn-mqtt-ca` on port 443. Needs a URL that
    /// starts with `mqtts://` or `wss://`. Null or absent: none.
    #[oai(skip_serializing_if_is_none)]
    alpn: Option<Alpn>,
    /// Message that the broker publishes if the connection to the hub breaks. Null or absent: none.
    #[oai(skip_serializing_if_is_none)]
    last_will: Option<LastWill>,
    /// Key of the device `client_id` in Azure IoT Hub, in base64, which replaces the password: the hub signs a new
    /// token with it for each connection. Needs `client_id` and a URL that starts with `mqtts://` or `wss://`.
    /// Write-only. Null or absent in an update: the stored key is kept if scheme, host and port of the URL stay the
    /// same; otherwise the request fails with 400.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    shared_access_key: Option<SecretText>,
    /// Name of the shared access policy of Azure IoT Hub that `shared_access_key` belongs to. Null or absent: the key
    /// is that of the device.
    #[oai(skip_serializing_if_is_none)]
    shared_access_policy: Option<Login>,
}

/// Message that an MQTT broker publishes if the connection to the hub breaks.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MqttLastWill")]
struct LastWill {
    /// Topic of the message.
    topic: TopicTemplate,
    /// Payload of the message, as text.
    #[oai(default = "no_text")]
    #[serde(default = "no_text")]
    payload: MessageText,
    /// Quality of service: 0 at most once, 1 at least once, 2 exactly once.
    #[oai(default = "at_most_once")]
    #[serde(default = "at_most_once")]
    qos: Quality,
    /// Whether the broker retains the message for later subscribers.
    #[oai(default)]
    #[serde(default)]
    retain: bool,
}

/// MQTT 3.1.1 broker, without its secrets.
#[derive(Object, Serialize, Deserialize)]
#[oai(rename = "MqttBrokerView")]
pub struct BrokerView {
    /// URL of the broker.
    url: String,
    /// Client identifier of the hub at the broker. Null if the hub generates one.
    client_id: Option<String>,
    /// User name at the broker. Null if none is set.
    username: Option<String>,
    /// Whether a password is stored.
    #[serde(default)]
    has_password: bool,
    /// Keep-alive interval in seconds: after this time without traffic, the hub checks that the broker still responds.
    keep_alive_s: KeepAlive,
    /// Certificates of the authorities that the hub trusts for this broker, in PEM. Null if it trusts the certificates
    /// of its system.
    ca: Option<String>,
    /// Certificate of the hub, followed by its chain, in PEM. Null if it presents none.
    client_certificate: Option<String>,
    /// Whether the private key of `client_certificate` is stored.
    #[serde(default)]
    has_client_key: bool,
    /// Protocol name that TLS announces (ALPN). Null if none is set.
    alpn: Option<String>,
    /// Message that the broker publishes if the connection to the hub breaks. Null if none is set.
    last_will: Option<LastWill>,
    /// Whether a key for Azure IoT Hub is stored.
    #[serde(default)]
    has_shared_access_key: bool,
    /// Name of the shared access policy that the key belongs to. Null if the key is that of the device.
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
