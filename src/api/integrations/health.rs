//! Health of integrations.

use poem_openapi::{Enum, Object};
use serde::Serialize;

use crate::{
    api::http::{
        mirror::mirror,
        types::{Count, Status, Timestamp},
    },
    store::integrations::health::{Health, HealthState},
};

/// How an integration fares, in a word
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum IntegrationHealthState {
    /// The last attempt succeeded
    Ok,
    /// The last attempt failed
    Failing,
    /// Nothing is sent until somebody resumes it
    Paused,
    /// Nothing was sent yet
    NeverSent,
}

/// How an integration has fared since it was made
#[derive(Object, Serialize)]
pub struct IntegrationHealth {
    /// In a word
    state: IntegrationHealthState,
    /// Deliveries that the target took
    delivered: Count,
    /// Attempts that failed
    failed_attempts: Count,
    /// Number of dead deliveries: every attempt failed, or they were given up
    dead: Count,
    /// Number of deliveries given up because too many waited or they waited too long; they count in
    /// `dead`, too
    given_up: Count,
    /// When the target last took one
    last_delivered_at: Option<Timestamp>,
    /// When an attempt last failed
    last_failed_at: Option<Timestamp>,
    /// HTTP status of that one, where there was an answer
    last_status: Option<Status>,
    /// Why it failed
    last_error: Option<String>,
    /// Since when every attempt has failed; null: the last one has not
    failing_since: Option<Timestamp>,
    /// Since when it is paused; null: it is not
    paused_at: Option<Timestamp>,
    /// Why it is paused
    pause_reason: Option<String>,
}

mirror!(IntegrationHealthState = HealthState: Ok, Failing, Paused, NeverSent);

impl From<Health> for IntegrationHealth {
    fn from(health: Health) -> Self {
        Self {
            state: health.state().into(),
            delivered: Count::saturating(health.delivered),
            failed_attempts: Count::saturating(health.failed),
            dead: Count::saturating(health.dead),
            given_up: Count::saturating(health.given_up),
            last_delivered_at: health.last_delivered_at.map(Timestamp),
            last_failed_at: health.last_failed_at.map(Timestamp),
            last_status: health.last_status.map(Status::saturating),
            last_error: health.last_error,
            failing_since: health.failing_since.map(Timestamp),
            paused_at: health.paused_at.map(Timestamp),
            pause_reason: health.pause_reason,
        }
    }
}
