//! The deliveries of integrations.

use std::collections::HashMap;

use poem::{Result, http::Uri};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Tag,
    auth::Caller,
    delivery_policy::EventType,
    page::{Cursor, Listed, Window},
    sort::{QueuedAt, SortBy},
    types::{Count, Id, Limit, Status, Timestamp},
};
use crate::{
    id::IntegrationId,
    store::{
        deliveries::{self, Attempt, Delivery, State},
        integrations,
    },
    text::DeviceId,
};

/// Where a delivery stands
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum DeliveryState {
    /// Waits for its next attempt
    Pending,
    /// An attempt is under way
    Sending,
    /// The target took it
    Delivered,
    /// Every attempt failed
    Dead,
}

/// One message on its way to an integration's target
#[derive(Object, Serialize)]
#[oai(rename = "Delivery")]
struct DeliveryView {
    /// Its id (UUIDv7), sent with every attempt
    id: Uuid,
    /// Where it stands
    state: DeliveryState,
    /// The device it tells of
    device_id: String,
    /// The type of event it tells of
    event: EventType,
    /// The uplink it tells of; null where it tells of something else
    uplink_id: Option<Uuid>,
    /// The event it tells of; null where it tells of an uplink
    event_id: Option<Uuid>,
    /// How many attempts were made
    attempt: Count,
    /// When the next attempt is due; null when there will be none
    next_attempt_at: Option<Timestamp>,
    /// HTTP status of the last answer
    last_status: Option<Status>,
    /// Why the last attempt failed
    last_error: Option<String>,
    /// The beginning of what the target last answered, where it answered text
    last_answer: Option<String>,
    /// The attempts, in their order
    attempts: Vec<AttemptView>,
    /// When it was queued
    created_at: Timestamp,
    /// When its state last changed
    updated_at: Timestamp,
}

/// One attempt to deliver
#[derive(Object, Serialize)]
#[oai(rename = "DeliveryAttempt")]
struct AttemptView {
    /// Its number, from 1
    attempt: Count,
    /// When it began
    at: Timestamp,
    /// How long it took, in milliseconds
    duration_ms: Count,
    /// HTTP status of the answer, where there was one
    status: Option<Status>,
    /// Why it failed; null: it did not
    error: Option<String>,
}

/// `integrations/{id}/deliveries`.
pub struct DeliveriesApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Integrations")]
impl DeliveriesApi {
    /// List an integration's deliveries
    ///
    /// With every attempt and what came of it.
    #[oai(
        path = "/integrations/:id/deliveries",
        method = "get",
        operation_id = "list_deliveries"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list_deliveries(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
        /// In this state alone
        state: Query<Option<DeliveryState>>,
        /// Only those that tell of this device
        device_id: Query<Option<DeviceId>>,
        /// What orders them; a minus turns it round. `-created_at` by default
        sort: Query<Option<SortBy<QueuedAt>>>,
        /// Most items on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        /// Whether to count the items of all pages, too; it costs about as much as reading them all
        total: Query<Option<bool>>,
        uri: &Uri,
    ) -> Result<Listed<DeliveryView>> {
        let scope = caller.scope();
        let id = integrations::get(scope, IntegrationId(**id)).await?.id;
        let window = Window::new(uri, limit.0, cursor.0, total.0)?;
        let newest_first = SortBy::is_newest_first(sort.0);
        let filter = deliveries::Filter {
            state: state.0.map(State::from),
            device_id: device_id.0.map(DeviceId::into_string),
        };
        let page = deliveries::list(scope, id, &filter, newest_first, &window.stretch).await?;
        let ids: Vec<Uuid> = page.items.iter().map(|delivery| delivery.id).collect();
        let mut attempts: HashMap<Uuid, Vec<AttemptView>> = HashMap::new();
        for (delivery, number, attempt) in deliveries::attempts(scope, &ids).await? {
            attempts
                .entry(delivery)
                .or_default()
                .push(attempt_view(number, attempt));
        }
        Ok(window.answer(page, |delivery| {
            let attempts = attempts.remove(&delivery.id).unwrap_or_default();
            delivery_view(delivery, attempts)
        })?)
    }
}

fn delivery_view(delivery: Delivery, attempts: Vec<AttemptView>) -> DeliveryView {
    let is_pending = delivery.state == State::Pending;
    let is_uplink = delivery.kind.is_uplink();
    DeliveryView {
        id: delivery.id,
        state: delivery.state.into(),
        device_id: delivery.device_id,
        event: delivery.kind.into(),
        uplink_id: Some(delivery.subject_id).filter(|_| is_uplink),
        event_id: Some(delivery.subject_id).filter(|_| !is_uplink),
        attempt: Count::saturating(delivery.attempt),
        next_attempt_at: delivery.due_at.filter(|_| is_pending).map(Timestamp),
        last_status: delivery.last_status.map(Status::saturating),
        last_error: delivery.last_error,
        last_answer: delivery.last_answer,
        attempts,
        created_at: Timestamp(delivery.created_at),
        updated_at: Timestamp(delivery.updated_at),
    }
}

fn attempt_view(number: i32, attempt: Attempt) -> AttemptView {
    AttemptView {
        attempt: Count::saturating(number),
        at: Timestamp(attempt.at),
        duration_ms: Count::saturating(attempt.duration_ms),
        status: attempt.status.map(Status::saturating),
        error: attempt.error,
    }
}

impl From<DeliveryState> for State {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Pending => State::Pending,
            DeliveryState::Sending => State::Sending,
            DeliveryState::Delivered => State::Delivered,
            DeliveryState::Dead => State::Dead,
        }
    }
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => DeliveryState::Pending,
            State::Sending => DeliveryState::Sending,
            State::Delivered => DeliveryState::Delivered,
            State::Dead => DeliveryState::Dead,
        }
    }
}
