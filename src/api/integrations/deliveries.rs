//! Deliveries of integrations.

use std::collections::HashMap;

use poem::Result;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    api::{
        http::{
            answer::Found,
            body::Body,
            caller::Caller,
            page::Listed,
            paging::Paging,
            sort::{QueuedAt, SortBy},
            span::{self, PointInTime},
            types::{Count, Id, Status, Timestamp},
        },
        integrations::policy::EventType,
        tag::Tag,
    },
    error::Error,
    hub::Hub,
    id::IntegrationId,
    store::{
        Scope,
        deliveries::{self, Attempt, Delivery, IdFilter, State},
        integrations,
    },
    text::DeviceId,
};

/// State of a delivery.
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum DeliveryState {
    /// The delivery waits for its next attempt.
    Pending,
    /// An attempt is in progress. Only the hub that makes the attempt reports this state; other hubs on the same
    /// database report `pending`.
    Sending,
    /// The target accepted the message.
    Delivered,
    /// Every attempt failed, or the delivery was given up because its queue was too long or it waited too long.
    Dead,
}

/// A message for the target of an integration.
#[derive(Object, Serialize)]
#[oai(rename = "Delivery")]
struct DeliveryView {
    /// Unique identifier of the delivery (UUIDv7). It is the same in all attempts, so that the receiver can detect
    /// repetitions.
    id: Uuid,
    /// Current state of the delivery.
    state: DeliveryState,
    /// Unique identifier of the device that the message is about.
    device_id: String,
    /// Type of the event that the message reports.
    event: EventType,
    /// Unique identifier of the uplink, for the types `data` and `raw`; null for all other types.
    uplink_id: Option<Uuid>,
    /// Unique identifier of the event; null for the types `data` and `raw`.
    event_id: Option<Uuid>,
    /// Number of attempts that were made.
    attempt: Count,
    /// Time at which the next attempt is due; null unless the state is `pending`, and while an older delivery of the
    /// same device holds this one back.
    next_attempt_at: Option<Timestamp>,
    /// HTTP status of the response to the last attempt; null if there was no attempt or no HTTP response.
    last_status: Option<Status>,
    /// Reason why the last attempt failed or the delivery was given up; null if neither happened.
    last_error: Option<String>,
    /// Beginning of the target's last response, at most 1,000 bytes; null if it contains no text. The target's secrets
    /// are masked.
    last_answer: Option<String>,
    /// Attempts, oldest first.
    attempts: Vec<AttemptView>,
    /// Time at which the delivery was queued.
    created_at: Timestamp,
    /// Time of the last attempt or change of state.
    updated_at: Timestamp,
}

/// An attempt to send a delivery.
#[derive(Object, Serialize)]
#[oai(rename = "DeliveryAttempt")]
struct AttemptView {
    /// Number of the attempt, starting at 1.
    attempt: Count,
    /// Time at which the attempt began.
    at: Timestamp,
    /// Duration of the attempt, in milliseconds.
    duration_ms: Count,
    /// HTTP status of the response; null if there was no HTTP response.
    status: Option<Status>,
    /// Reason why the attempt failed; null if it succeeded.
    error: Option<String>,
}

/// Final state of a delivery.
#[derive(Enum, Clone, Copy, Default, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum SettledState {
    /// Every attempt failed, or the delivery was given up.
    #[default]
    Dead,
    /// The target accepted the message.
    Delivered,
}

/// Filter of the deliveries to resend. The conditions are combined with AND. An omitted or null condition matches
/// every delivery; `state` defaults to `dead`.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Resend")]
struct ResendBody {
    /// State of the deliveries to resend. Defaults to `dead`.
    #[oai(default)]
    #[serde(default)]
    state: SettledState,
    /// Only deliveries for this device.
    device_id: Option<DeviceId>,
    /// Only deliveries that were queued at or after this time.
    from: Option<Timestamp>,
    /// Only deliveries that were queued before this time. Must not be before `from`.
    to: Option<Timestamp>,
    /// Only deliveries that were queued after this one. Pass the `last_id` of the previous response to continue.
    after: Option<Uuid>,
}

/// Result of resending deliveries.
#[derive(Object, Serialize)]
#[oai(rename = "Resent")]
struct ResentView {
    /// Number of deliveries that were queued again.
    queued: Count,
    /// Whether all matching deliveries were queued. If false, call the operation again with `last_id` as `after`.
    is_complete: bool,
    /// Unique identifier of the last delivery that was processed; null if `is_complete` is true.
    last_id: Option<Uuid>,
}

/// Endpoints of `integrations/{id}/deliveries`.
pub struct DeliveriesApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Integrations")]
impl DeliveriesApi {
    /// List deliveries
    ///
    /// Returns the integration's deliveries with all their attempts. Filters are combined with AND. Delivered
    /// deliveries are kept for `delivery_keep_hours` and dead ones for `delivery_dead_keep_hours` (settings of the
    /// hub). Fails with 400 if `to` is before `from`.
    #[oai(
        path = "/integrations/:id/deliveries",
        method = "get",
        operation_id = "list_deliveries"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list_deliveries(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
        id: Path<Id>,
        /// Only deliveries in this state.
        state: Query<Option<DeliveryState>>,
        /// Only deliveries for this device.
        device_id: Query<Option<DeviceId>>,
        /// Only deliveries that were queued at or after this time.
        from: Query<Option<PointInTime>>,
        /// Only deliveries that were queued before this time. Must not be before `from`.
        to: Query<Option<PointInTime>>,
        /// Sort key; prefix with `-` for descending order. Defaults to `-created_at`.
        sort: Query<Option<SortBy<QueuedAt>>>,
        paging: Paging,
    ) -> Result<Listed<DeliveryView>> {
        let scope = caller.scope();
        let id = integrations::get(scope, IntegrationId(**id)).await?.id;
        let window = paging.window()?;
        let newest_first = SortBy::is_newest_first(sort.0);
        let under_way = self.hub.wake.under_way();
        let filter = deliveries::Filter {
            state: state.0.map(DeliveryState::to_store),
            device_id: device_id.0.map(DeviceId::into_string),
            span: span::asked(from.0, to.0, scope)?,
            among: state.0.and_then(|state| state.among(&under_way)),
        };
        let page = deliveries::list(scope, id, &filter, newest_first, &window.stretch).await?;
        let ids: Vec<Uuid> = page.items.iter().map(|delivery| delivery.id).collect();
        let mut attempts = attempts(scope, &ids).await?;
        Ok(window.answer(page, |delivery| {
            let attempts = attempts.remove(&delivery.id).unwrap_or_default();
            delivery_view(delivery, attempts, &under_way)
        })?)
    }

    /// Get a delivery
    ///
    /// Returns the delivery with all its attempts. Fails with 404 if the integration has no such delivery, or the
    /// hub has deleted it after its retention period.
    #[oai(
        path = "/integrations/:id/deliveries/:delivery_id",
        method = "get",
        operation_id = "get_delivery"
    )]
    async fn get_delivery(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
        id: Path<Id>,
        /// Unique identifier of the delivery.
        delivery_id: Path<Uuid>,
    ) -> Result<Found<DeliveryView>> {
        let integration = IntegrationId(**id);
        let delivery = deliveries::get(caller.scope(), integration, *delivery_id).await?;
        self.answer(caller.scope(), delivery).await
    }

    /// Resend a delivery
    ///
    /// Queues a delivered or dead delivery again, with the same id and a new retry schedule. Earlier attempts stay in
    /// `attempts`. Fails with 400 if the delivery is still `pending` or `sending`.
    #[oai(
        path = "/integrations/:id/deliveries/:delivery_id/resend",
        method = "post",
        operation_id = "resend_delivery"
    )]
    async fn resend_delivery(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
        id: Path<Id>,
        /// Unique identifier of the delivery.
        delivery_id: Path<Uuid>,
    ) -> Result<Found<DeliveryView>> {
        let integration = IntegrationId(**id);
        let scope = caller.scope();
        let delivery = self
            .hub
            .resend_one(scope, integration, *delivery_id)
            .await?;
        self.answer(scope, delivery).await
    }

    /// Resend deliveries
    ///
    /// Queues all matching delivered or dead deliveries again, with the same ids and new retry schedules. With an empty
    /// body, resends all dead deliveries.
    ///
    /// A call stops after about 10 seconds. If `is_complete` is false, call the operation again with `last_id` as
    /// `after`. Without `after`, the call starts from the oldest delivery and also resends deliveries that have reached
    /// the state again in the meantime. Fails with 400 if `to` is before `from`.
    #[oai(
        path = "/integrations/:id/deliveries/resend",
        method = "post",
        operation_id = "resend_deliveries"
    )]
    async fn resend_deliveries(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
        id: Path<Id>,
        body: Body<ResendBody>,
    ) -> Result<Found<ResentView>> {
        let ResendBody {
            state,
            device_id,
            from,
            to,
            after,
        } = body.0;
        let filter = deliveries::Filter {
            state: Some(match state {
                SettledState::Dead => State::Dead,
                SettledState::Delivered => State::Delivered,
            }),
            device_id: device_id.map(DeviceId::into_string),
            span: span::read(from, to)?,
            among: None,
        };
        let integration = IntegrationId(**id);
        let (queued, last_id) = self
            .hub
            .resend(caller.scope(), integration, &filter, after)
            .await?;
        Ok(Found(ResentView {
            queued: Count::saturating(queued),
            is_complete: last_id.is_none(),
            last_id,
        }))
    }
}

impl DeliveriesApi {
    async fn answer(&self, scope: &Scope, delivery: Delivery) -> Result<Found<DeliveryView>> {
        let mut attempts = attempts(scope, &[delivery.id]).await?;
        let attempts = attempts.remove(&delivery.id).unwrap_or_default();
        let under_way = self.hub.wake.under_way();
        Ok(Found(delivery_view(delivery, attempts, &under_way)))
    }
}

async fn attempts(
    scope: &Scope,
    deliveries: &[Uuid],
) -> Result<HashMap<Uuid, Vec<AttemptView>>, Error> {
    let mut attempts: HashMap<Uuid, Vec<AttemptView>> = HashMap::new();
    for made in deliveries::attempts(scope, deliveries).await? {
        let of_delivery = attempts.entry(made.delivery).or_default();
        of_delivery.push(attempt_view(made.number, made.attempt));
    }
    Ok(attempts)
}

fn delivery_view(
    delivery: Delivery,
    attempts: Vec<AttemptView>,
    under_way: &[Uuid],
) -> DeliveryView {
    let state = DeliveryState::of(&delivery, under_way);
    let is_pending = matches!(state, DeliveryState::Pending);
    let is_uplink = delivery.kind.is_uplink();
    DeliveryView {
        id: delivery.id,
        state,
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

impl DeliveryState {
    /// Returns the state in the database, which does not distinguish deliveries that are being sent: only the
    /// sending hub knows these.
    fn to_store(self) -> State {
        match self {
            DeliveryState::Pending | DeliveryState::Sending => State::Pending,
            DeliveryState::Delivered => State::Delivered,
            DeliveryState::Dead => State::Dead,
        }
    }

    /// Returns the filter that separates pending deliveries from those that are being sent.
    fn among(self, under_way: &[Uuid]) -> Option<IdFilter> {
        match self {
            DeliveryState::Pending => Some(IdFilter::Others(under_way.to_vec())),
            DeliveryState::Sending => Some(IdFilter::These(under_way.to_vec())),
            DeliveryState::Delivered | DeliveryState::Dead => None,
        }
    }

    fn of(delivery: &Delivery, under_way: &[Uuid]) -> Self {
        match delivery.state {
            State::Pending if under_way.contains(&delivery.id) => DeliveryState::Sending,
            State::Pending => DeliveryState::Pending,
            State::Delivered => DeliveryState::Delivered,
            State::Dead => DeliveryState::Dead,
        }
    }
}
