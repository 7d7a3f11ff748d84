//! Targets of integrations, one file per type.

use poem_openapi::Union;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{
    api::http::union,
    error::{Error, Result},
    id::IntegrationId,
    secret::SealedCredentials,
};

mod file;
mod http;
mod kafka;
mod mqtt;
mod postgres;
pub mod target_type;
mod websocket;

use file::{FileTarget, FileTargetView};
use http::{HttpTarget, HttpTargetView};
use kafka::{KafkaTarget, KafkaTargetView};
use mqtt::{MqttTarget, MqttTargetView};
use postgres::{PostgresTarget, PostgresTargetView};
pub use target_type::Provisioned;
use target_type::TargetType;
use websocket::{WebSocketTarget, WebSocketTargetView};

/// Target that receives the messages of an integration.
#[derive(Union)]
#[oai(
    rename = "IntegrationTarget",
    discriminator_name = "type",
    one_of = true
)]
pub enum Target {
    #[oai(mapping = "http")]
    Http(HttpTarget),
    #[oai(mapping = "websocket")]
    WebSocket(WebSocketTarget),
    #[oai(mapping = "postgres")]
    Postgres(PostgresTarget),
    #[oai(mapping = "file")]
    File(FileTarget),
    #[oai(mapping = "mqtt")]
    Mqtt(MqttTarget),
    #[oai(mapping = "kafka")]
    Kafka(KafkaTarget),
}

/// Target that receives the messages of an integration.
#[derive(Union, Serialize)]
#[oai(
    rename = "IntegrationTargetView",
    discriminator_name = "type",
    one_of = true
)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TargetView {
    #[oai(mapping = "http")]
    Http(HttpTargetView),
    #[oai(mapping = "websocket")]
    #[serde(rename = "websocket")]
    WebSocket(WebSocketTargetView),
    #[oai(mapping = "postgres")]
    Postgres(PostgresTargetView),
    #[oai(mapping = "file")]
    File(FileTargetView),
    #[oai(mapping = "mqtt")]
    Mqtt(MqttTargetView),
    #[oai(mapping = "kafka")]
    Kafka(KafkaTargetView),
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tags = [
            HttpTarget::KIND,
            MqttTarget::KIND,
            KafkaTarget::KIND,
            WebSocketTarget::KIND,
            PostgresTarget::KIND,
            FileTarget::KIND,
        ];
        union::read(deserializer, &tags, |tag, members| match tag {
            HttpTarget::KIND => Some(members.read().map(Self::Http)),
            MqttTarget::KIND => Some(members.read().map(Self::Mqtt)),
            KafkaTarget::KIND => Some(members.read().map(Self::Kafka)),
            WebSocketTarget::KIND => Some(members.read().map(Self::WebSocket)),
            PostgresTarget::KIND => Some(members.read().map(Self::Postgres)),
            FileTarget::KIND => Some(members.read().map(Self::File)),
            _ => None,
        })
    }
}

impl Target {
    /// Converts the target to its stored form.
    pub fn provisioned(self) -> Result<Provisioned> {
        match self {
            Self::Http(target) => target.provisioned(),
            Self::WebSocket(target) => target.provisioned(),
            Self::Postgres(target) => target.provisioned(),
            Self::File(target) => target.provisioned(),
            Self::Mqtt(target) => target.provisioned(),
            Self::Kafka(target) => target.provisioned(),
        }
    }
}

impl TargetView {
    /// Returns the view of a stored target; flags show which secrets are stored.
    pub fn new(
        id: IntegrationId,
        kind: &str,
        settings: Value,
        secrets: &SealedCredentials,
        origin: Option<&str>,
    ) -> Result<Self> {
        match kind {
            HttpTarget::KIND => Ok(Self::Http(HttpTargetView::new(settings, secrets)?)),
            WebSocketTarget::KIND => {
                let view = WebSocketTargetView::new(id, origin, secrets);
                Ok(Self::WebSocket(view))
            }
            PostgresTarget::KIND => {
                let view = PostgresTargetView::new(settings, secrets)?;
                Ok(Self::Postgres(view))
            }
            FileTarget::KIND => Ok(Self::File(FileTargetView::new(settings)?)),
            MqttTarget::KIND => Ok(Self::Mqtt(MqttTargetView::new(settings, secrets)?)),
            KafkaTarget::KIND => Ok(Self::Kafka(KafkaTargetView::new(settings, secrets)?)),
            other => Err(Error::internal(format!("no target of the type {other}"))),
        }
    }
}
