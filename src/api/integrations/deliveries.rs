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
            span,
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
        deliveries::{self, Among, Attempt, Delivery, State},
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
    /// An attempt is under way, from the hub that answers
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

/// A state of deliveries that are settled
#[derive(Enum, Clone, Copy, Default, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum SettledState {
    /// Every attempt failed
    #[default]
    Dead,
    /// The target took them
    Delivered,
}

/// Which deliveries to send again; what is left out does not matter
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Resend")]
struct ResendBody {
    /// Those in this state; `dead` by default
    #[oai(default)]
    #[serde(default)]
    state: SettledState,
    /// Those that tell of this device
    device_id: Option<DeviceId>,
    /// Those that were queued at or after this time
    from: Option<Timestamp>,
    /// Those that were queued before this time
    to: Option<Timestamp>,
    /// Those that were queued after this delivery: the `last_id` of the call before
    after: Option<Uuid>,
}

/// What was queued again
#[derive(Object, Serialize)]
#[oai(rename = "Resent")]
struct ResentView {
    /// How many deliveries
    queued: Count,
    /// Whether these were all
    is_complete: bool,
    /// The last delivery that was looked at; null where these were all
    last_id: Option<Uuid>,
}

/// Endpoints of `integrations/{id}/deliveries`.
pub struct DeliveriesApi {
    pub hub: Hub,
}

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
        /// Only those that were queued at or after this time
        from: Query<Option<Timestamp>>,
        /// Only those that were queued before this time
        to: Query<Option<Timestamp>>,
        /// What orders them; a minus turns it round. `-created_at` by default
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
            span: span::read(from.0, to.0)?,
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
    /// With every attempt and what came of it.
    #[oai(
        path = "/integrations/:id/deliveries/:delivery_id",
        method = "get",
        operation_id = "get_delivery"
    )]
    async fn get_delivery(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
        /// The delivery's id
        delivery_id: Path<Uuid>,
    ) -> Result<Found<DeliveryView>> {
        let integration = IntegrationId(**id);
        let delivery = deliveries::get(caller.scope(), integration, *delivery_id).await?;
        self.answer(caller.scope(), delivery).await
    }

    /// Send a delivery again
    ///
    /// One that is settled, dead or not: it is queued under its id, and its schedule begins anew.
    #[oai(
        path = "/integrations/:id/deliveries/:delivery_id/resend",
        method = "post",
        operation_id = "resend_delivery"
    )]
    async fn resend_delivery(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
        /// The delivery's id
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

    /// Send deliveries again
    ///
    /// All that are dead, or those among the settled ones that the body picks: they are queued under
    /// their ids, and their schedules begin anew. Works for 10 seconds at most: where `is_complete` is
    /// false, call it again with `last_id` as `after`. Without it the call begins at the beginning, and
    /// picks once more what has been settled meanwhile.
    #[oai(
        path = "/integrations/:id/deliveries/resend",
        method = "post",
        operation_id = "resend_deliveries"
    )]
    async fn resend_deliveries(
        &self,
        caller: Caller,
        /// The integration's id
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
    fn among(self, under_way: &[Uuid]) -> Option<Among> {
        match self {
            DeliveryState::Pending => Some(Among::Others(under_way.to_vec())),
            DeliveryState::Sending => Some(Among::These(under_way.to_vec())),
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
