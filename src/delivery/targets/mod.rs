//! Where integrations send to: one file per type.

pub mod http;
mod mqtt;

use chrono::TimeDelta;

use crate::{
    error::{Error, Result},
    mqtt::Publishers,
    outgoing::Guard,
    secret::Vault,
    store::{deliveries::Delivery, integrations::Integration},
};

/// What an integration's sealed credentials are for.
pub const VAULT_PURPOSE: &str = "integration";

/// What came back from a target.
#[derive(Debug, Default)]
pub struct Answer {
    /// HTTP status, where there was one.
    pub status: Option<u16>,
    /// Why it does not count as delivered.
    pub error: Option<String>,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<TimeDelta>,
    /// The beginning of what it answered, where that is text.
    pub text: Option<String>,
}

/// A target, ready to send to.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for an integration, shared"
)]
pub enum Target {
    /// An HTTP endpoint.
    Http(http::HttpTarget),
    /// A topic of a broker.
    Mqtt(mqtt::MqttTarget),
}

impl Target {
    /// Reads an integration's settings and opens its credentials.
    pub fn open(integration: &Integration, vault: &Vault) -> Result<Self> {
        let provisioned = &integration.provisioned;
        let credentials = vault.open_credentials(VAULT_PURPOSE, provisioned.secret.as_deref())?;
        match provisioned.kind.as_str() {
            "http" => Ok(Target::Http(http::HttpTarget::open(
                &provisioned.settings,
                &credentials,
            )?)),
            "mqtt" => Ok(Target::Mqtt(mqtt::MqttTarget::open(
                integration.id,
                &provisioned.settings,
                &credentials,
            )?)),
            other => Err(Error::internal(format!("no target of the type {other}"))),
        }
    }

    /// Sends one delivery.
    pub async fn send(&self, sender: &Sender, delivery: &Delivery) -> Answer {
        match self {
            Target::Http(target) => target.send(&sender.http, &sender.guard, delivery).await,
            Target::Mqtt(target) => {
                target
                    .send(&sender.publishers, delivery, sender.timeout)
                    .await
            }
        }
    }
}

/// What all targets share: the clients, behind the guard.
#[derive(Clone)]
pub struct Sender {
    http: reqwest::Client,
    guard: Guard,
    publishers: Publishers,
    timeout: std::time::Duration,
}

impl Sender {
    /// A sender whose requests end after `timeout`.
    pub fn new(guard: Guard, publishers: Publishers, timeout: std::time::Duration) -> Result<Self> {
        Ok(Self {
            http: http::client(&guard, timeout)?,
            guard,
            publishers,
            timeout,
        })
    }
}
