//! Operational control of integrations: backlog, pause, resume and test.

use poem::Result;
use poem_openapi::{Object, OpenApi, param::Path};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    api::{
        http::{
            answer::{Found, Single},
            caller::Caller,
            types::{Count, Id, Status, Timestamp},
        },
        integrations::{health::IntegrationHealth, resource::IntegrationView},
        tag::Tag,
    },
    hub::Hub,
    id::IntegrationId,
    store::{deliveries::queue, integrations},
};

/// What waits for an integration
#[derive(Object, Serialize)]
struct IntegrationBacklog {
    /// How it fares
    health: IntegrationHealth,
    /// How many deliveries wait; at most 10,000 are counted
    pending: Count,
    /// Whether more wait than were counted
    pending_is_more: bool,
    /// When the oldest of them was queued; null: none waits
    oldest_pending_at: Option<Timestamp>,
    /// How long it has waited, in seconds; 0: none waits
    lag_s: Count,
}

/// What came of a test
#[derive(Object, Serialize)]
struct IntegrationTest {
    /// Whether the target took the message
    is_delivered: bool,
    /// The id that was sent along
    delivery_id: Uuid,
    /// HTTP status of the answer, where there was one
    status: Option<Status>,
    /// Why it does not count as delivered; null: it does
    error: Option<String>,
    /// The beginning of what the target answered, where it answered text
    answer: Option<String>,
    /// How long it took, in milliseconds
    duration_ms: Count,
}

/// Endpoints to monitor, pause, resume and test integrations.
pub struct IntegrationControlApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Integrations")]
impl IntegrationControlApi {
    /// Get how an integration fares
    ///
    /// With how much waits for it, and since when.
    #[oai(
        path = "/integrations/:id/health",
        method = "get",
        operation_id = "get_integration_health"
    )]
    async fn health(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
    ) -> Result<Found<IntegrationBacklog>> {
        let scope = caller.scope();
        let integration = integrations::get(scope, IntegrationId(**id)).await?;
        let backlog = queue::backlog(scope, integration.id).await?;
        let lag = backlog
            .oldest_at
            .map(|at| (scope.now() - at).num_seconds().max(0));
        Ok(Found(IntegrationBacklog {
            health: integration.health.into(),
            pending: Count::saturating(backlog.pending),
            pending_is_more: backlog.is_more,
            oldest_pending_at: backlog.oldest_at.map(Timestamp),
            lag_s: Count::saturating(lag.unwrap_or_default()),
        }))
    }

    /// Pause an integration
    ///
    /// Nothing is sent any more; what comes in is queued and waits.
    #[oai(
        path = "/integrations/:id/pause",
        method = "post",
        operation_id = "pause_integration"
    )]
    async fn pause(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
    ) -> Result<Single<IntegrationView>> {
        let id = IntegrationId(**id);
        let integration = self.hub.pause_integration(caller.scope(), id).await?;
        Ok(Single(IntegrationView::new(integration, &self.hub)?))
    }

    /// Resume an integration
    ///
    /// What is queued is sent, whoever paused the integration.
    #[oai(
        path = "/integrations/:id/resume",
        method = "post",
        operation_id = "resume_integration"
    )]
    async fn resume(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
    ) -> Result<Single<IntegrationView>> {
        let id = IntegrationId(**id);
        let integration = self.hub.resume_integration(caller.scope(), id).await?;
        Ok(Single(IntegrationView::new(integration, &self.hub)?))
    }

    /// Test an integration
    ///
    /// Sends a message with `"event": "test"` past the queue, also when the integration is paused or
    /// switched off, and answers what came of it. The message is that of an uplink, in the form of
    /// `payload`, with made-up values; where a template asks for one that it does not have, there is
    /// none. A row of `postgres` is inserted and taken back.
    #[oai(
        path = "/integrations/:id/test",
        method = "post",
        operation_id = "test_integration"
    )]
    async fn test(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
    ) -> Result<Found<IntegrationTest>> {
        let id = IntegrationId(**id);
        let tested = self.hub.test_integration(caller.scope(), id).await?;
        Ok(Found(IntegrationTest {
            is_delivered: tested.answer.error.is_none(),
            delivery_id: tested.delivery,
            status: tested.answer.status.map(Status::saturating),
            error: tested.answer.error,
            answer: tested.answer.text,
            duration_ms: Count::saturating(tested.duration_ms),
        }))
    }
}
