//! Durable queue between the recorded messages and the integrations.
//!
//! A waiting delivery has a due time; a settled one has none. One hub at a time delivers for an integration: it
//! holds the integration's lease ([`lease`]), reads due deliveries ([`queue`]), and keeps track of those in progress
//! in memory. An attempt therefore costs one write, which settles it ([`settle`]). The lease of a dead hub expires,
//! and another hub takes over its work. An attempt is settled only if its number is still the next one, so a late
//! result changes nothing.

use sea_orm::{ColumnTrait, Condition, QueryFilter, QueryOrder};
use uuid::Uuid;

pub mod enqueue;
mod forget;
pub mod give_up;
pub mod lease;
pub(super) mod of_events;
pub(super) mod parking;
pub mod queue;
pub mod replays;
pub mod resend;
pub mod settle;
pub mod waiting;

use super::entities::{delivery, delivery_attempt};
use crate::{
    clock::Time,
    error::{Error, Result},
    id::IntegrationId,
    store::{
        core::{
            listing::{self, Order, Place, Span, Stretch},
            page::Page,
            scope::Scope,
            words::{of_column, words},
        },
        deliveries::parking::parked,
        integrations::policy::EventType,
    },
};

/// State of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waiting for its next attempt, or an attempt is in progress.
    Pending,
    /// Accepted by the target.
    Delivered,
    /// Every attempt failed, or the delivery was given up.
    Dead,
}

words!(State {
    Pending = "pending",
    Delivered = "delivered",
    Dead = "dead",
});

/// Message to an integration.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Identifier, equal in all attempts, so that the receiver can detect repetitions.
    pub id: Uuid,
    /// Identifier of the device that the message is about.
    pub device_id: String,
    /// Type of the event.
    pub kind: EventType,
    /// Identifier of the uplink or event.
    pub subject_id: Uuid,
    /// State of the delivery.
    pub state: State,
    /// Number of attempts, including one in progress.
    pub attempt: i32,
    /// Number of attempts made before the current retry schedule began.
    pub round_start: i32,
    /// True if it waits for the device's older deliveries.
    pub ordered: bool,
    /// Time at which the next attempt is due; `None` if settled or waiting for an older delivery.
    pub due_at: Option<Time>,
    /// Rendered message.
    pub body: String,
    /// HTTP status of the last response.
    pub last_status: Option<i32>,
    /// Error of the last attempt.
    pub last_error: Option<String>,
    /// Beginning of the target's last response.
    pub last_answer: Option<String>,
    /// Time at which the delivery was queued.
    pub created_at: Time,
    /// Time of the last change of state.
    pub updated_at: Time,
}

/// Result of an attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Start of the attempt.
    pub at: Time,
    /// Duration in milliseconds.
    pub duration_ms: i64,
    /// HTTP status of the response, if any.
    pub status: Option<u16>,
    /// Error; `None` if the attempt succeeded.
    pub error: Option<String>,
}

/// Attempt with its delivery.
#[derive(Debug, Clone)]
pub struct AttemptOf {
    /// Identifier of the delivery.
    pub delivery: Uuid,
    /// Number of the attempt, counted from 1.
    pub number: i32,
    /// Result of the attempt.
    pub attempt: Attempt,
}

/// Filter of deliveries; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// State of the deliveries.
    pub state: Option<State>,
    /// Device that the deliveries are about.
    pub device_id: Option<String>,
    /// Period in which the deliveries were queued.
    pub span: Span,
    /// Restriction by identifiers.
    pub among: Option<IdFilter>,
}

/// Restriction of deliveries by their identifiers.
#[derive(Debug, Clone)]
pub enum IdFilter {
    /// Only these.
    These(Vec<Uuid>),
    /// All except these.
    Others(Vec<Uuid>),
}

impl Filter {
    fn condition(&self, integration: IntegrationId) -> Condition {
        use delivery::Column;
        let among = self.among.as_ref().map(|among| match among {
            IdFilter::These(ids) => Column::Id.is_in(ids.iter().copied()),
            IdFilter::Others(ids) => Column::Id.is_not_in(ids.iter().copied()),
        });
        Condition::all()
            .add(Column::IntegrationId.eq(integration.0))
            .add_option(self.state.map(|state| Column::State.eq(state.as_str())))
            .add_option(self.device_id.as_ref().map(|id| Column::DeviceId.eq(id)))
            .add_option(among)
            .add(self.span.condition(Column::CreatedAt, Column::Id))
    }
}

/// Returns a delivery.
pub async fn get(scope: &Scope, integration: IntegrationId, id: Uuid) -> Result<Delivery> {
    use delivery::Column;
    let found = scope
        .find::<delivery::Entity>()
        .filter(Column::Id.eq(id))
        .filter(Column::IntegrationId.eq(integration.0))
        .one(scope.reader())
        .await?;
    found
        .ok_or_else(|| Error::missing("delivery", id))?
        .try_into()
}

/// Returns a page of an integration's deliveries, in the order of queuing.
pub async fn list(
    scope: &Scope,
    integration: IntegrationId,
    filter: &Filter,
    newest_first: bool,
    stretch: &Stretch<Uuid>,
) -> Result<Page<Delivery, Place<Uuid>>> {
    use delivery::Column;
    let query = scope
        .find::<delivery::Entity>()
        .filter(filter.condition(integration));
    let order = Order::by_key(Column::Id.into_expr(), newest_first);
    let page = listing::section(scope, query, &order, stretch, |model| {
        Place::of_key(model.id)
    })
    .await?;
    page.try_map(Delivery::try_from)
}

/// Returns the attempts of these deliveries, in their order.
pub async fn attempts(scope: &Scope, deliveries: &[Uuid]) -> Result<Vec<AttemptOf>> {
    use delivery_attempt::Column;
    let found = scope
        .find::<delivery_attempt::Entity>()
        .filter(Column::DeliveryId.is_in(deliveries.iter().copied()))
        .order_by_asc(Column::DeliveryId)
        .order_by_asc(Column::Attempt)
        .all(scope.reader())
        .await?;
    let attempt = |model: delivery_attempt::Model| {
        let status = model.status.and_then(|status| u16::try_from(status).ok());
        let attempt = Attempt {
            at: model.at,
            duration_ms: model.duration_ms,
            status,
            error: model.error,
        };
        AttemptOf {
            delivery: model.delivery_id,
            number: model.attempt,
            attempt,
        }
    };
    Ok(found.into_iter().map(attempt).collect())
}

impl TryFrom<delivery::Model> for Delivery {
    type Error = Error;

    fn try_from(model: delivery::Model) -> Result<Self> {
        let delivery::Model {
            tenant_id: _,
            id,
            integration_id: _,
            device_id,
            subject_id,
            state,
            attempt,
            due_at,
            body,
            last_status,
            last_error,
            created_at,
            updated_at,
            kind,
            ordered,
            round_start,
            last_answer,
        } = model;
        use delivery::Column;
        Ok(Self {
            id,
            device_id,
            kind: of_column(Column::Kind, &kind)?,
            subject_id,
            state: of_column(Column::State, &state)?,
            attempt,
            round_start,
            ordered,
            due_at: due_at.filter(|due| *due < parked()),
            body,
            last_status,
            last_error,
            last_answer,
            created_at,
            updated_at,
        })
    }
}
