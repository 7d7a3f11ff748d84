//! Target type `kafka`.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::target_type::{BrokenRule, TargetType, read};
use crate::{
    api::http::{server_tls::authorities, types::List},
    error::Result,
    kafka::TopicTemplate,
    secret::{Claim, SealedCredentials, addresses::KAFKA},
    text::{CertificateText, CredentialText, HostPort, KafkaTopic, Login, Text},
};

/// A topic of Apache Kafka or of a server with the same protocol. Each message becomes a record, which counts as
/// delivered when all in-sync replicas have it (`acks=all`). The key of the record is the device's id, so that all
/// records of a device are in the same partition; the hub chooses it as Kafka's own clients do. The headers of the
/// record are `event` (the type of the event), `delivery_id` (the same in all attempts) and `content-type`.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaTarget {
    /// Bootstrap brokers, 1 to 8, as `host:port`. The first one that answers returns the addresses of all brokers. An
    /// attempt fails if the address of any of these brokers is not public, unless the operator has allowed its network
    /// (`outgoing_allow`).
    bootstrap: List<HostPort, 1, 8>,
    /// Template of the topic's name, without control characters. `{device_id}` stands for the device's id, `{event}`
    /// for the type of the event and `{label:site}` for the value of the device's label `site`, which is `_` if the
    /// device has no such label. Characters that a topic's name cannot contain become `_`. The hub does not create
    /// topics, but the brokers may do so.
    #[serde(deserialize_with = "template")]
    topic: KafkaTopic,
    /// Encryption of the connections. `required` if omitted or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<KafkaTls>,
    /// Certificates of the authorities to trust instead of those of the hub's system, in PEM. Cannot be combined with
    /// `tls=off`.
    #[serde(
        default,
        deserialize_with = "authorities",
        skip_serializing_if = "Option::is_none"
    )]
    ca: Option<CertificateText>,
    /// Username for SASL, without control characters. If omitted or null, the hub does not authenticate.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<Login>,
    /// Password of `username`, without control characters. Required with a `username`, and rejected without one.
    /// Responses never contain it. If omitted in an update, the stored value is kept as long as `bootstrap` and `tls`
    /// stay the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    password: Option<CredentialText>,
    /// SASL mechanism. `scram_sha_512` if omitted or null; rejected without a `username`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mechanism: Option<KafkaMechanism>,
}

/// Encryption of the connections to a Kafka cluster.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum KafkaTls {
    /// Connections use TLS. The certificate of a broker must be valid for its host name.
    Required,
    /// Connections are not encrypted.
    Off,
}

/// SASL mechanism.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
enum KafkaMechanism {
    /// PLAIN: the broker receives the password.
    #[oai(rename = "plain")]
    #[serde(rename = "plain")]
    Plain,
    /// SCRAM-SHA-256: both sides prove that they know the password, which is not sent.
    #[oai(rename = "scram_sha_256")]
    #[serde(rename = "scram_sha_256")]
    ScramSha256,
    /// SCRAM-SHA-512: both sides prove that they know the password, which is not sent.
    #[oai(rename = "scram_sha_512")]
    #[serde(rename = "scram_sha_512")]
    ScramSha512,
}

/// A topic of Apache Kafka or of a server with the same protocol.
#[derive(Object, Serialize, Deserialize)]
pub struct KafkaTargetView {
    /// Bootstrap brokers, as `host:port`.
    bootstrap: Vec<String>,
    /// Template of the topic's name.
    topic: String,
    /// Encryption of the connections.
    #[serde(default = "required")]
    tls: KafkaTls,
    /// Certificates of the trusted authorities, in PEM; null for those of the hub's system.
    ca: Option<String>,
    /// Username for SASL; null if the hub does not authenticate.
    username: Option<String>,
    /// Whether a password is stored.
    #[serde(default)]
    has_password: bool,
    /// SASL mechanism; null if the hub does not authenticate.
    mechanism: Option<KafkaMechanism>,
}

/// Deserializes a topic and checks its placeholders.
fn template<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KafkaTopic, D::Error> {
    let topic = KafkaTopic::deserialize(deserializer)?;
    TopicTemplate::parse(&topic).map_err(de::Error::custom)?;
    Ok(topic)
}

impl TargetType for KafkaTarget {
    const KIND: &'static str = "kafka";

    fn take_claims(&mut self) -> Vec<Claim> {
        let password = self.password.take().map(Text::into_string);
        match self.username {
            Some(_) => vec![Claim::required(
                "password",
                "target.password",
                password,
                KAFKA,
            )],
            None => Vec::new(),
        }
    }

    fn broken_rule(&self) -> Option<BrokenRule> {
        let is_off = matches!(self.tls, Some(KafkaTls::Off));
        if self.ca.is_some() && is_off {
            return Some(BrokenRule::new(
                "target.ca",
                "cannot be combined with target.tls=off",
            ));
        }
        if self.username.is_some() {
            return None;
        }
        if self.password.is_some() {
            return Some(BrokenRule::new(
                "target.password",
                "requires target.username",
            ));
        }
        let is_left = self.mechanism.is_some();
        is_left.then_some(BrokenRule::new(
            "target.mechanism",
            "requires target.username",
        ))
    }
}

impl KafkaTargetView {
    pub fn new(settings: Value, secrets: &SealedCredentials) -> Result<Self> {
        let view: Self = read(settings)?;
        let default = view.username.as_ref().map(|_| KafkaMechanism::ScramSha512);
        Ok(Self {
            has_password: secrets.has("password"),
            mechanism: view.mechanism.or(default),
            ..view
        })
    }
}

fn required() -> KafkaTls {
    KafkaTls::Required
}
