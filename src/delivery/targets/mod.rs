//! Targets of integrations: one file for each type.

mod answer;
mod file;
pub mod headers;
mod hosts;
mod http;
mod kafka;
mod mqtt;
mod oauth2;
mod postgres;
mod topic;
mod webhook_signature;

use std::{path::Path, sync::Arc, time::Duration};

use moka::sync::Cache;
use serde_json::Value;
use tokio::sync::Semaphore;

pub use self::answer::Answer;
pub use self::hosts::hosts;
use super::payload::{Message, Payload, Purpose, RenderError, Renderers};
use crate::{
    config::Config,
    error::{Error, Result},
    id::{IntegrationId, TenantId},
    mqtt::Publishers,
    outgoing::{Client, Guard},
    secret::{Credentials, Place, Redactor, Stored, Vault},
    store::{deliveries::Delivery, integrations::Integration},
};

/// Type of target whose messages clients fetch instead of receiving deliveries.
pub const FOLLOWED: &str = "websocket";

/// Names of all types of targets.
pub const TARGET_TYPES: &[&str] = &[
    http::KIND,
    mqtt::KIND,
    kafka::KIND,
    postgres::KIND,
    file::KIND,
    FOLLOWED,
];

/// Returns the storage location of an integration's encrypted credentials.
pub fn place(tenant: TenantId, id: impl std::fmt::Display) -> Place {
    Place::new("integration", tenant, id)
}

/// Validates a target's settings together with its credentials, including those already stored. The
/// error names the field and the rule.
pub fn check(kind: &str, settings: &Value, credentials: &Credentials) -> Result<()> {
    match kind {
        http::KIND => http::check(settings, credentials),
        mqtt::KIND => mqtt::check(settings, credentials),
        _ => Ok(()),
    }
}

/// A target that is ready for sending.
pub struct Target {
    tenant: TenantId,
    /// Name of its type.
    kind: &'static str,
    payload: Payload,
    transport: Transport,
    redactor: Redactor,
    /// Approximate size in bytes.
    weight: u32,
}

/// Type-specific part of a target.
enum Transport {
    Http(Box<http::HttpTarget>),
    Mqtt(Box<mqtt::MqttTarget>),
    Kafka(Box<kafka::KafkaTarget>),
    Postgres(Box<postgres::PostgresTarget>),
    File(file::FileTarget),
    /// The credentials cannot be decrypted, for this reason.
    Locked(String),
}

impl Target {
    /// Reads an integration's settings and decrypts its credentials. If they cannot be decrypted, each
    /// attempt fails with the reason until a client sets them again or an operator restores their key. An
    /// HTTP target uses `client`, or one with its own connections.
    fn open(
        tenant: TenantId,
        integration: &Integration,
        vault: &Vault,
        client: &Client,
    ) -> Result<Self> {
        let provisioned = &integration.provisioned;
        let kind = name_of(&provisioned.kind)?;
        let settings = &provisioned.settings;
        let stored = Stored {
            settings,
            secret: provisioned.secret.as_deref(),
        };
        let credentials = match vault.open_credentials(&place(tenant, integration.id.0), stored) {
            Ok(credentials) => credentials,
            Err(error) => return Ok(Self::unopened(tenant, kind, error.to_string())),
        };
        let transport = match provisioned.kind.as_str() {
            http::KIND => Transport::Http(Box::new(http::HttpTarget::open(
                settings,
                &credentials,
                client,
            )?)),
            mqtt::KIND => {
                let target = mqtt::MqttTarget::open(integration.id, settings, &credentials)?;
                Transport::Mqtt(Box::new(target))
            }
            kafka::KIND => {
                let target = kafka::KafkaTarget::open(settings, &credentials)?;
                Transport::Kafka(Box::new(target))
            }
            postgres::KIND => {
                let target = postgres::PostgresTarget::open(settings, &credentials)?;
                Transport::Postgres(Box::new(target))
            }
            file::KIND => Transport::File(file::FileTarget::open(settings, tenant)?),
            other => return Err(Error::internal(format!("no target of the type {other}"))),
        };
        let shown: Vec<String> = match &transport {
            Transport::Http(target) => target.shown().collect(),
            _ => Vec::new(),
        };
        let secrets = credentials.values().chain(shown.iter().map(String::as_str));
        let redactor = Redactor::new(secrets);
        Ok(Self {
            tenant,
            kind,
            payload: Payload::read(&provisioned.payload).map_err(Error::internal)?,
            transport,
            redactor,
            weight: weight(integration),
        })
    }

    fn unopened(tenant: TenantId, kind: &'static str, why: String) -> Self {
        Self {
            tenant,
            kind,
            payload: Payload::Native,
            transport: Transport::Locked(why),
            redactor: Redactor::new([]),
            weight: 0,
        }
    }

    /// Returns the name of its type.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// True if the credentials could not be decrypted; another try may succeed.
    pub fn is_unopened(&self) -> bool {
        matches!(self.transport, Transport::Locked(_))
    }

    /// Sends one delivery.
    pub async fn send(&self, sender: &Sender, delivery: &Delivery) -> Answer {
        self.answer(sender, delivery, Purpose::Delivery).await
    }

    /// Sends a test in the same way as a delivery. It is rolled back if the target supports it.
    pub async fn try_out(&self, sender: &Sender, test: &Delivery) -> Answer {
        self.answer(sender, test, Purpose::Test).await
    }

    async fn answer(&self, sender: &Sender, delivery: &Delivery, purpose: Purpose) -> Answer {
        let answer = match (&self.transport, purpose) {
            (Transport::Postgres(target), Purpose::Test) => {
                let guard = sender.guard.of(self.tenant.0);
                target.try_out(&guard, delivery).await
            }
            _ => self.send_message(sender, delivery, purpose).await,
        };
        answer.without(&self.redactor).cut()
    }

    async fn send_message(&self, sender: &Sender, delivery: &Delivery, purpose: Purpose) -> Answer {
        let (renderer, origin) = (sender.renderers.of(self.tenant), &sender.origin);
        let made = self.payload.message(&renderer, delivery, origin, purpose);
        match made.await {
            Ok(message) => {
                self.transport
                    .send(sender, self.tenant, delivery, &message)
                    .await
            }
            Err(RenderError::Never(error)) => Answer::hopeless(error),
            Err(RenderError::NotNow) => Answer::failed("the template cannot be rendered now"),
        }
    }
}

/// Returns the constant name of a type of targets.
fn name_of(kind: &str) -> Result<&'static str> {
    let found = TARGET_TYPES.iter().find(|name| **name == kind);
    found
        .copied()
        .ok_or_else(|| Error::internal(format!("no target of the type {kind}")))
}

fn weight(integration: &Integration) -> u32 {
    let provisioned = &integration.provisioned;
    let texts = [&provisioned.settings, &provisioned.payload].map(|json| json.to_string().len());
    let secret = provisioned.secret.as_ref().map_or(0, Vec::len);
    let settings = texts.iter().sum::<usize>() + secret;
    u32::try_from(TARGET_BYTES + SETTINGS_BYTES * settings).unwrap_or(u32::MAX)
}

impl Transport {
    async fn send(
        &self,
        sender: &Sender,
        tenant: TenantId,
        delivery: &Delivery,
        message: &Message,
    ) -> Answer {
        let guard = sender.guard.of(tenant.0);
        match self {
            Transport::Http(target) => target.send(delivery, message).await,
            Transport::Mqtt(target) => {
                let (publishers, within) = (sender.publishers.of(tenant.0), sender.timeout);
                target.send(&publishers, delivery, message, within).await
            }
            Transport::Kafka(target) => target.send(&guard, delivery, message).await,
            Transport::Postgres(target) => target.send(&guard, delivery).await,
            Transport::Locked(why) => Answer::failed(why.clone()),
            Transport::File(target) => {
                let (below, writing) = (sender.files_dir.as_deref(), &sender.files);
                target.send(below, writing, delivery, message).await
            }
        }
    }
}

/// Resources that all targets share: the clients, behind the guard, and the cached targets.
#[derive(Clone)]
pub struct Sender {
    http: Client,
    /// HTTP clients by tenant.
    clients: Cache<TenantId, Client>,
    guard: Guard,
    publishers: Publishers,
    /// Template renderers for all tenants.
    pub renderers: Renderers,
    timeout: Duration,
    /// Operator's folder for file targets.
    files_dir: Option<Arc<Path>>,
    /// Permits for writing lines to files.
    files: Arc<Semaphore>,
    /// Public URL of the hub; empty if it is not configured.
    origin: Arc<str>,
    /// Targets with the revision of their integration; a new revision closes the connections of the
    /// previous one.
    targets: Cache<IntegrationId, (i64, Arc<Target>)>,
}

/// Maximum number of cached HTTP clients, one for each tenant.
const CLIENTS_MAX: u64 = 1_000;
/// Capacity of the target cache in bytes. Cached targets keep their token, connection or compiled
/// template.
const TARGETS_MAX_BYTES: u64 = 48 << 20;
/// Fixed size of a target in bytes, and bytes for each byte of its settings.
const TARGET_BYTES: usize = 32 * 1024;
const SETTINGS_BYTES: usize = 8;
const TARGET_IDLE: Duration = Duration::from_secs(600);

impl Sender {
    /// Creates a sender whose requests end after `timeout`.
    pub fn new(
        guard: Guard,
        publishers: Publishers,
        timeout: Duration,
        config: &Config,
    ) -> Result<Self> {
        let origin = config.public_url.as_deref();
        Ok(Self {
            http: Client::new(guard.clone(), timeout).map_err(Error::internal)?,
            clients: Cache::builder()
                .max_capacity(CLIENTS_MAX)
                .time_to_idle(TARGET_IDLE)
                .build(),
            guard,
            publishers,
            renderers: Renderers::default(),
            timeout,
            files_dir: config.file_targets_dir.as_deref().map(Arc::from),
            files: Arc::new(Semaphore::new(file::AT_ONCE)),
            origin: origin.unwrap_or_default().trim_end_matches('/').into(),
            targets: Cache::builder()
                .max_capacity(TARGETS_MAX_BYTES)
                .weigher(|_, (_, target): &(i64, Arc<Target>)| target.weight)
                .time_to_idle(TARGET_IDLE)
                .build(),
        })
    }

    /// Returns the target of an integration at its current revision.
    pub fn target(
        &self,
        tenant: TenantId,
        integration: &Integration,
        vault: &Vault,
    ) -> Result<Arc<Target>> {
        if let Some((revision, target)) = self.targets.get(&integration.id)
            && revision == integration.revision
        {
            return Ok(target);
        }
        let client = self.clients.get_with(tenant, || self.http.of(tenant.0));
        let target = Arc::new(Target::open(tenant, integration, vault, &client)?);
        if !target.is_unopened() {
            let entry = (integration.revision, target.clone());
            self.targets.insert(integration.id, entry);
        }
        Ok(target)
    }
}
