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

/// Health state of an integration.
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum IntegrationHealthState {
    /// The last attempt succeeded, or no attempt has failed since the integration was resumed.
    Ok,
    /// The last attempt failed.
    Failing,
    /// A client or the hub has paused the integration; nothing is sent until a client resumes it.
    Paused,
    /// The integration is neither paused nor failing, and has not delivered anything yet.
    NeverSent,
}

/// Health of an integration. Counters start at its creation.
#[derive(Object, Serialize)]
pub struct IntegrationHealth {
    /// Health state.
    state: IntegrationHealthState,
    /// Number of deliveries that the target accepted.
    delivered: Count,
    /// Number of failed attempts.
    failed_attempts: Count,
    /// Number of deliveries that became dead: every attempt failed, or they were given up.
    dead: Count,
    /// Number of deliveries that the hub gave up because too many waited or they waited too long. `dead` includes them.
    given_up: Count,
    /// Time of the last accepted delivery; null if there was none.
    last_delivered_at: Option<Timestamp>,
    /// Time of the last failed attempt; null if there was none.
    last_failed_at: Option<Timestamp>,
    /// HTTP status of the response to the last failed attempt; null if there was no HTTP response.
    last_status: Option<Status>,
    /// Reason of the last failure; null if no attempt has failed.
    last_error: Option<String>,
    /// Time since which every attempt has failed; null unless the last attempt failed. Resuming the integration resets
    /// it.
    failing_since: Option<Timestamp>,
    /// Time at which the integration was paused; null if it is not paused.
    paused_at: Option<Timestamp>,
    /// Reason of the pause; null if the integration is not paused.
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
