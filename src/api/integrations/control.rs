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

/// Health and backlog of an integration.
#[derive(Object, Serialize)]
struct IntegrationBacklog {
    /// Health of the integration.
    health: IntegrationHealth,
    /// Number of deliveries that wait. Counting stops at 10,000.
    pending: Count,
    /// Whether more deliveries wait than were counted.
    pending_is_more: bool,
    /// Time at which the oldest waiting delivery was queued; null if none waits.
    oldest_pending_at: Option<Timestamp>,
    /// Age of the oldest waiting delivery, in seconds; 0 if none waits.
    lag_s: Count,
}

/// Result of testing an integration.
#[derive(Object, Serialize)]
struct IntegrationTest {
    /// Whether the target accepted the message.
    is_delivered: bool,
    /// Delivery id that was sent with the message. The delivery is not stored.
    delivery_id: Uuid,
    /// HTTP status of the response; null if there was no HTTP response.
    status: Option<Status>,
    /// Reason why the test failed; null if the target accepted the message.
    error: Option<String>,
    /// Beginning of the target's response, at most 1,000 bytes; null if it contains no text. The target's secrets are
    /// masked.
    answer: Option<String>,
    /// Duration of the test, in milliseconds.
    duration_ms: Count,
}

/// Endpoints to monitor, pause, resume and test integrations.
pub struct IntegrationControlApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Integrations")]
impl IntegrationControlApi {
    /// Get integration health
    ///
    /// Returns the integration's health, the size of its backlog and the age of the oldest waiting delivery.
    #[oai(
        path = "/integrations/:id/health",
        method = "get",
        operation_id = "get_integration_health"
    )]
    async fn health(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
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
    /// Stops sending. New messages are still queued and wait until the integration is resumed, within the limits
    /// `delivery_queue_max` and `delivery_wait_max_hours` (settings of the hub). Attempts in progress are completed.
    /// Pausing an integration that is already paused changes nothing.
    #[oai(
        path = "/integrations/:id/pause",
        method = "post",
        operation_id = "pause_integration"
    )]
    async fn pause(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
        id: Path<Id>,
    ) -> Result<Single<IntegrationView>> {
        let id = IntegrationId(**id);
        let integration = self.hub.pause_integration(caller.scope(), id).await?;
        Ok(Single(IntegrationView::new(integration, &self.hub)?))
    }

    /// Resume an integration
    ///
    /// Resumes sending of the queued deliveries, no matter whether a client or the hub paused the integration, and
    /// resets `failing_since`. Has no effect on sending while `enabled` is false.
    #[oai(
        path = "/integrations/:id/resume",
        method = "post",
        operation_id = "resume_integration"
    )]
    async fn resume(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
        id: Path<Id>,
    ) -> Result<Single<IntegrationView>> {
        let id = IntegrationId(**id);
        let integration = self.hub.resume_integration(caller.scope(), id).await?;
        Ok(Single(IntegrationView::new(integration, &self.hub)?))
    }

    /// Test an integration
    ///
    /// Sends a test message to the target, bypassing the queue, and returns the result. This also works while the
    /// integration is paused or disabled, and changes neither its health nor its deliveries.
    ///
    /// The message has the form of an uplink with sample values, `"event": "test"`, and the integration's `payload`
    /// format. Values that a template uses but the sample lacks are undefined in a test, and not an error. For
    /// `postgres`, the hub inserts the row and rolls it back; all other targets receive the message.
    ///
    /// Fails with 400 for the type `websocket`, and with 503 while four tests of the tenant are running.
    #[oai(
        path = "/integrations/:id/test",
        method = "post",
        operation_id = "test_integration"
    )]
    async fn test(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
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
