//! Types of integrations.

use serde::Serialize;
use serde_json::Value;

use crate::{
    clock::Time,
    error::{Error, Result},
    id::IntegrationId,
    secret::Stored,
    store::{
        core::json::from_column,
        entities::{integration, integration_health},
        integrations::{
            health::Health,
            policy::{EventType, Policy},
        },
    },
};

/// Configuration of an integration, as clients provide it.
#[derive(Debug, Clone, Serialize)]
pub struct NewIntegration {
    /// Name, unique in the tenant.
    pub name: String,
    /// Description for people.
    pub description: String,
    /// Selector of the devices whose data is forwarded.
    pub selector: String,
    /// True if the integration queues and sends deliveries.
    pub enabled: bool,
    /// Type of the target.
    pub kind: String,
    /// Settings for the sender of this type.
    pub settings: Value,
    /// Format of the messages.
    pub payload: Value,
    /// Types of events to forward.
    pub events: Vec<EventType>,
    /// Delivery policy.
    pub delivery: Policy,
    /// Sealed credentials.
    #[serde(skip)]
    pub secret: Option<Vec<u8>>,
}

/// Integration, which forwards data to a target.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Identifier of the integration.
    pub id: IntegrationId,
    /// Configuration, as the client provided it.
    pub provisioned: NewIntegration,
    /// Health of the integration.
    pub health: Health,
    /// Revision, which grows with every change by a client.
    pub revision: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last change.
    pub updated_at: Time,
}

impl NewIntegration {
    /// Returns the stored credentials and the settings that determine where they are sent.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            settings: &self.settings,
            secret: self.secret.as_deref(),
        }
    }

    /// Returns the types in which it forwards uplinks; empty if it does not.
    pub fn uplink_events(&self) -> Vec<EventType> {
        let events = self.events.iter().copied();
        events.filter(|event| event.is_uplink()).collect()
    }
}

impl TryFrom<(integration::Model, Option<integration_health::Model>)> for Integration {
    type Error = Error;

    fn try_from(
        (model, health): (integration::Model, Option<integration_health::Model>),
    ) -> Result<Self> {
        let integration::Model {
            tenant_id: _,
            id,
            created_at,
            updated_at,
            revision,
            name,
            description,
            selector,
            enabled,
            kind,
            settings,
            payload,
            secret,
            events,
            delivery,
        } = model;
        Ok(Self {
            id: IntegrationId(id),
            provisioned: NewIntegration {
                name,
                description,
                selector,
                enabled,
                kind,
                settings,
                payload,
                events: from_column(integration::Column::Events, events)?,
                delivery: from_column(integration::Column::Delivery, delivery)?,
                secret,
            },
            health: health.map(Health::from).unwrap_or_default(),
            revision,
            created_at,
            updated_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;
    use serde_json::{Map, json};

    use super::*;
    use crate::{
        config::Config,
        store::{
            Store,
            devices::{self, NewDevice},
            integrations,
            live::events::{self, NewEvent},
        },
    };

    fn new() -> NewIntegration {
        NewIntegration {
            name: "i".to_owned(),
            description: String::new(),
            selector: "*".to_owned(),
            enabled: true,
            kind: "http".to_owned(),
            settings: json!({}),
            payload: json!({}),
            events: vec![EventType::Data, EventType::Join],
            delivery: Policy {
                concurrency: Some(3),
                ..Policy::default()
            },
            secret: None,
        }
    }

    #[tokio::test]
    async fn an_unreadable_column_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: folder.path().to_owned(),
            ..Config::default()
        };
        let store = Store::open(&config).await.unwrap();
        store.seed("t", "admin", "x").await.unwrap();
        let admin = store.find_user("admin").await.unwrap().unwrap();
        let scope = store.scope(admin.tenant);
        let made = integrations::insert(&scope, new(), |_| Ok(None)).await;
        let id = made.unwrap().id;
        let device = devices::insert(&scope, device()).await.unwrap().key;
        let read = integrations::get(&scope, id).await.unwrap().provisioned;
        assert_eq!(read.events, new().events);
        assert_eq!(read.delivery, new().delivery);
        for (column, good) in [
            ("events", json!(new().events)),
            ("delivery", json!(new().delivery)),
        ] {
            for bad in ["null", "\"no\""] {
                set(&store, column, bad).await;
                let error = integrations::get(&scope, id).await.unwrap_err();
                assert!(matches!(error, Error::Internal(_)), "{error:?}");
                let named = format!("column integrations.{column} cannot be read");
                assert!(error.causes().contains(&named), "{}", error.causes());
                let recorded = scope.record(async |transaction| {
                    let joined = events::insert(&scope, &transaction, Some(device), None, join());
                    Ok(joined.await?)
                });
                let error = recorded.await.unwrap_err();
                assert!(error.causes().contains(&named), "{}", error.causes());
            }
            set(&store, column, &good.to_string()).await;
        }
        integrations::get(&scope, id).await.unwrap();
    }

    fn device() -> NewDevice {
        NewDevice {
            id: "d".to_owned(),
            name: String::new(),
            description: String::new(),
            driver: None,
            labels: Vec::new(),
            metadata: Map::new(),
            connections: Vec::new(),
        }
    }

    fn join() -> NewEvent {
        NewEvent {
            kind: "join",
            message: String::new(),
            details: Map::new(),
        }
    }

    async fn set(store: &Store, column: &str, value: &str) {
        let sql = format!("UPDATE integrations SET {column} = '{value}'");
        store.inner.writer.execute_unprepared(&sql).await.unwrap();
    }
}
