//! Integrations as they are read.

use serde::Serialize;
use serde_json::Value;

use crate::{
    clock::Time,
    id::IntegrationId,
    secret::Stored,
    store::{
        entities::{integration, integration_health},
        integrations::{
            health::Health,
            policy::{EventType, Policy},
        },
    },
};

/// What a client provisions.
#[derive(Debug, Clone, Serialize)]
pub struct NewIntegration {
    /// Unique in the tenant.
    pub name: String,
    /// For people.
    pub description: String,
    /// Which devices' data it forwards.
    pub selector: String,
    /// Whether it takes and sends anything.
    pub enabled: bool,
    /// What kind of target it has.
    pub kind: String,
    /// What the target's sender needs to know.
    pub settings: Value,
    /// The form in which messages go out.
    pub payload: Value,
    /// The types of events that it forwards.
    pub events: Vec<EventType>,
    /// The rules of its deliveries.
    pub delivery: Policy,
    /// Sealed credentials.
    #[serde(skip)]
    pub secret: Option<Vec<u8>>,
}

/// An integration.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Its id.
    pub id: IntegrationId,
    /// What was provisioned.
    pub provisioned: NewIntegration,
    /// How it fares.
    pub health: Health,
    /// Grows with every change by a client.
    pub revision: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl NewIntegration {
    /// What its row stores of secrets, and of where they are sent.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            settings: &self.settings,
            secret: self.secret.as_deref(),
        }
    }

    /// As what it forwards uplinks, if it does.
    pub fn uplink_events(&self) -> Vec<EventType> {
        let events = self.events.iter().copied();
        events.filter(|event| event.is_uplink()).collect()
    }
}

impl From<(integration::Model, Option<integration_health::Model>)> for Integration {
    fn from((model, health): (integration::Model, Option<integration_health::Model>)) -> Self {
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
        Self {
            id: IntegrationId(id),
            provisioned: NewIntegration {
                name,
                description,
                selector,
                enabled,
                kind,
                settings,
                payload,
                // Both were checked when they were stored.
                events: serde_json::from_value(events).unwrap_or_default(),
                delivery: serde_json::from_value(delivery).unwrap_or_default(),
                secret,
            },
            health: health.map(Health::from).unwrap_or_default(),
            revision,
            created_at,
            updated_at,
        }
    }
}
