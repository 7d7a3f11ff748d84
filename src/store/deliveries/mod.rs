//! The durable queue between the record and the integrations.
//!
//! What waits has a time at which it is due; what is settled has none. One hub at a time delivers for
//! an integration: it holds the integration's lease ([`lease`]), reads what is due ([`queue`]), and
//! remembers by itself what is under way, so that an attempt costs one write: the one that settles it
//! ([`settle`]). A hub that dies gives its work back by no longer saying that it lives. An attempt
//! settles only while its number is still the next one: one that comes back too late changes nothing.

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
            words::{Word, words},
        },
        deliveries::parking::parked,
        integrations::policy::EventType,
    },
};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for its (next) attempt, or one is under way.
    Pending,
    /// The target took it.
    Delivered,
    /// Every attempt failed, or it was given up.
    Dead,
}

words!(State {
    Pending = "pending",
    Delivered = "delivered",
    Dead = "dead",
});

/// One message on its way to one integration.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Stays the same over all attempts, so that the receiver can tell a repetition.
    pub id: Uuid,
    /// The device it tells of.
    pub device_id: String,
    /// The type of event it tells of.
    pub kind: EventType,
    /// The uplink or event it tells of.
    pub subject_id: Uuid,
    /// Where it stands.
    pub state: State,
    /// How many attempts were made, the one under way among them.
    pub attempt: i32,
    /// How many were made before its schedule last began.
    pub round_start: i32,
    /// Whether it waits for the device's older deliveries.
    pub ordered: bool,
    /// When the next attempt is due.
    pub due_at: Option<Time>,
    /// The message.
    pub body: String,
    /// HTTP status of the last answer.
    pub last_status: Option<i32>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// The beginning of what the target last answered.
    pub last_answer: Option<String>,
    /// When it was queued.
    pub created_at: Time,
    /// When its state last changed.
    pub updated_at: Time,
}

/// What came of an attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// When it began.
    pub at: Time,
    /// How long it took.
    pub duration_ms: i64,
    /// HTTP status of the answer, where there was one.
    pub status: Option<u16>,
    /// Why it failed; `None`: it did not.
    pub error: Option<String>,
}

/// An attempt of a delivery.
#[derive(Debug, Clone)]
pub struct AttemptOf {
    /// The delivery.
    pub delivery: Uuid,
    /// Counted from 1.
    pub number: i32,
    /// The attempt.
    pub attempt: Attempt,
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those in this state.
    pub state: Option<State>,
    /// Those that tell of this device.
    pub device_id: Option<String>,
    /// Those that were queued in this time.
    pub span: Span,
    /// Those that are among these, or are not.
    pub among: Option<Among>,
}

/// Deliveries by their ids.
#[derive(Debug, Clone)]
pub enum Among {
    /// These.
    These(Vec<Uuid>),
    /// All others.
    Others(Vec<Uuid>),
}

impl Filter {
    fn condition(&self, integration: IntegrationId) -> Condition {
        use delivery::Column;
        let among = self.among.as_ref().map(|among| match among {
            Among::These(ids) => Column::Id.is_in(ids.iter().copied()),
            Among::Others(ids) => Column::Id.is_not_in(ids.iter().copied()),
        });
        Condition::all()
            .add(Column::IntegrationId.eq(integration.0))
            .add_option(self.state.map(|state| Column::State.eq(state.as_str())))
            .add_option(self.device_id.as_ref().map(|id| Column::DeviceId.eq(id)))
            .add_option(among)
            .add(self.span.condition(Column::CreatedAt, Column::Id))
    }
}

/// One delivery.
pub async fn get(scope: &Scope, integration: IntegrationId, id: Uuid) -> Result<Delivery> {
    use delivery::Column;
    let found = scope
        .find::<delivery::Entity>()
        .filter(Column::Id.eq(id))
        .filter(Column::IntegrationId.eq(integration.0))
        .one(scope.reader())
        .await?;
    Ok(found.ok_or_else(|| Error::missing("delivery", id))?.into())
}

/// A stretch of an integration's deliveries, in the order in which they were queued.
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
    let total = listing::total(scope, &query, stretch).await?;
    let order = Order::by_key(Column::Id.into_expr(), newest_first);
    let found = order.of(query, stretch)?.all(scope.reader()).await?;
    let page = Page::cut(found, stretch.limit, |model| Place::of_key(model.id));
    Ok(page.of(total).map(Delivery::from))
}

/// The attempts of some deliveries, in their order.
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

impl From<delivery::Model> for Delivery {
    fn from(model: delivery::Model) -> Self {
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
        let state = State::of_word(&state).unwrap_or(State::Pending);
        Self {
            id,
            device_id,
            kind: EventType::of_word(&kind).unwrap_or(EventType::Data),
            subject_id,
            state,
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
        }
    }
}
