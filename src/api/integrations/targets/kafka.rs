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

/// A topic of Apache Kafka, or of what speaks its protocol: each message becomes a record, which counts as
/// delivered when all replicas in step have it (`acks=all`). The record's key is the device's id, so that
/// the records of a device are in one partition, the one that Kafka's own clients would choose. Its headers
/// are `event`, the type of event, `delivery_id`, the same over all attempts, and `content-type`
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaTarget {
    /// Brokers, as `host:port`, of which one is asked for all others. Private addresses are refused
    /// unless the operator has allowed them: those of the brokers named here, and of those that they name
    bootstrap: List<HostPort, 1, 8>,
    /// Where to write. `{device_id}` is the device, `{event}` the type of event and `{label:site}` the
    /// value of the device's label `site`, `_` where it has none; what the name of a topic may not have
    /// becomes `_`. A topic that is not there is made where the brokers do that by themselves
    #[serde(deserialize_with = "template")]
    topic: KafkaTopic,
    /// Whether connections are encrypted, with the brokers' certificates checked; `required` by default
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<KafkaTls>,
    /// The certificates to trust in place of the system's, in PEM
    #[serde(
        default,
        deserialize_with = "authorities",
        skip_serializing_if = "Option::is_none"
    )]
    ca: Option<CertificateText>,
    /// Who logs in; left out, nobody does
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<Login>,
    /// Its password; never shown again. Left out of an update, the old one stays while
    /// the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    password: Option<CredentialText>,
    /// How `username` logs in (SASL); `scram_sha_512` by default
    #[serde(skip_serializing_if = "Option::is_none")]
    mechanism: Option<KafkaMechanism>,
}

/// Whether connections are encrypted
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum KafkaTls {
    /// They are, and a broker's certificate must be for its name
    Required,
    /// They are not
    Off,
}

/// How somebody logs in (SASL)
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
enum KafkaMechanism {
    /// The password itself goes over
    #[oai(rename = "plain")]
    #[serde(rename = "plain")]
    Plain,
    /// Both sides prove that they know the password, by SHA-256
    #[oai(rename = "scram_sha_256")]
    #[serde(rename = "scram_sha_256")]
    ScramSha256,
    /// Both sides prove that they know the password, by SHA-512
    #[oai(rename = "scram_sha_512")]
    #[serde(rename = "scram_sha_512")]
    ScramSha512,
}

/// A topic of Apache Kafka, or of what speaks its protocol
#[derive(Object, Serialize, Deserialize)]
pub struct KafkaTargetView {
    /// Brokers of which one is asked for all others
    bootstrap: Vec<String>,
    /// Where it writes
    topic: String,
    /// Whether connections are encrypted
    #[serde(default = "required")]
    tls: KafkaTls,
    /// The certificates to trust in place of the system's
    ca: Option<String>,
    /// Who logs in; null: nobody does
    username: Option<String>,
    /// Whether a password is stored
    #[serde(default)]
    has_password: bool,
    /// How somebody logs in; null: nobody does
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
            return Some(BrokenRule::new("target.ca", "goes without tls off"));
        }
        if self.username.is_some() {
            return None;
        }
        if self.password.is_some() {
            return Some(BrokenRule::new("target.password", "belongs to username"));
        }
        let is_left = self.mechanism.is_some();
        is_left.then_some(BrokenRule::new("target.mechanism", "belongs to username"))
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
