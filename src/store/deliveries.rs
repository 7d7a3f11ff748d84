//! The durable queue between the record and the integrations.
//!
//! A delivery is claimed with a lease: while an attempt is under way, `due_at` is the time at which
//! the attempt counts as lost, so a process that dies gives its work back by doing nothing. An
//! attempt settles only its own claim (`attempt` is part of the condition): one that comes back too
//! late changes nothing.

use chrono::TimeDelta;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{
        CommonTableExpression, Expr, ExprTrait, LockBehavior, LockType, Query, WithClause,
    },
};
use uuid::Uuid;

use super::{
    Page, Scope,
    delivery_policy::EventType,
    entities::{delivery, delivery_attempt},
    listing::{self, Order, Place, Stretch},
};
use crate::{
    clock::{self, Time},
    error::Result,
    id::IntegrationId,
};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for its (next) attempt.
    Pending,
    /// An attempt is under way.
    Sending,
    /// The target took it.
    Delivered,
    /// Every attempt failed.
    Dead,
}

impl State {
    /// As it is written in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Sending => "sending",
            State::Delivered => "delivered",
            State::Dead => "dead",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "sending" => State::Sending,
            "delivered" => State::Delivered,
            "dead" => State::Dead,
            _ => State::Pending,
        }
    }
}

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
    /// How many attempts were made.
    pub attempt: i32,
    /// How many were made before its schedule last began.
    pub round_start: i32,
    /// When the next attempt is due, or the current one counts as lost.
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
    /// When to try again; `None`: never.
    pub retry_at: Option<Time>,
}

/// Takes up to `limit` deliveries that are due, for as long as `lease`.
pub async fn claim(
    scope: &Scope,
    integration: IntegrationId,
    limit: u64,
    lease: TimeDelta,
) -> Result<Vec<Delivery>> {
    use delivery::Column;
    let now = clock::now();
    let due = scope
        .find::<delivery::Entity>()
        .select_only()
        .column(Column::Id)
        .filter(Column::IntegrationId.eq(integration.0))
        .filter(Column::DueAt.lte(now))
        .order_by_asc(Column::DueAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    // Apart, because PostgreSQL may run a subquery more than once and so lock more than the limit;
    // what is locked apart is run once.
    let due = CommonTableExpression::new()
        .query(due)
        .table_name("due")
        .to_owned();
    let ids = Query::select().column("id").from("due").to_owned();
    let update = scope
        .update::<delivery::Entity>()
        .col_expr(Column::State, Expr::value(State::Sending.as_str()))
        .col_expr(Column::Attempt, Expr::col(Column::Attempt).add(1))
        .col_expr(Column::DueAt, Expr::value(now + lease))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.in_subquery(ids))
        .into_query()
        .returning_all()
        .to_owned()
        .with(WithClause::new().cte(due).to_owned());
    let writer = &scope.store.inner.writer;
    let mut claimed: Vec<Delivery> =
        delivery::Model::find_by_statement(writer.get_database_backend().build(&update))
            .all(writer)
            .await?
            .into_iter()
            .map(Delivery::from)
            .collect();
    claimed.sort_by_key(|delivery| delivery.id);
    Ok(claimed)
}

/// When the next delivery of the integration is due.
pub async fn next_due(scope: &Scope, integration: IntegrationId) -> Result<Option<Time>> {
    use delivery::Column;
    Ok(scope
        .find::<delivery::Entity>()
        .select_only()
        .column(Column::DueAt)
        .filter(Column::IntegrationId.eq(integration.0))
        .filter(Column::DueAt.is_not_null())
        .order_by_asc(Column::DueAt)
        .into_tuple::<Option<Time>>()
        .one(scope.reader())
        .await?
        .flatten())
}

/// Writes down what came of an attempt, unless its claim was lost meanwhile.
pub async fn settle(scope: &Scope, delivery: &Delivery, attempt: &Attempt) -> Result<()> {
    use delivery::Column;
    let state = match (&attempt.error, attempt.retry_at) {
        (None, _) => State::Delivered,
        (Some(_), Some(_)) => State::Pending,
        (Some(_), None) => State::Dead,
    };
    let due_at = if state == State::Pending {
        attempt.retry_at
    } else {
        None
    };
    let transaction = scope.store.begin().await?;
    let settled = scope
        .update::<delivery::Entity>()
        .col_expr(Column::State, Expr::value(state.as_str()))
        .col_expr(Column::DueAt, Expr::value(due_at))
        .col_expr(
            Column::LastStatus,
            Expr::value(attempt.status.map(i32::from)),
        )
        .col_expr(Column::LastError, Expr::value(attempt.error.clone()))
        .col_expr(Column::UpdatedAt, Expr::value(clock::now()))
        .filter(Column::Id.eq(delivery.id))
        .filter(Column::Attempt.eq(delivery.attempt))
        .filter(Column::State.eq(State::Sending.as_str()))
        .exec(&transaction)
        .await?;
    if settled.rows_affected > 0 {
        delivery_attempt::Entity::insert(delivery_attempt::ActiveModel {
            tenant_id: Set(scope.tenant.0),
            delivery_id: Set(delivery.id),
            attempt: Set(delivery.attempt),
            at: Set(attempt.at),
            duration_ms: Set(attempt.duration_ms),
            status: Set(attempt.status.map(i32::from)),
            error: Set(attempt.error.clone()),
        })
        .exec_without_returning(&transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those in this state.
    pub state: Option<State>,
    /// Those that tell of this device.
    pub device_id: Option<String>,
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
    let mut query = scope
        .find::<delivery::Entity>()
        .filter(Column::IntegrationId.eq(integration.0));
    if let Some(state) = filter.state {
        query = query.filter(Column::State.eq(state.as_str()));
    }
    if let Some(device) = &filter.device_id {
        query = query.filter(Column::DeviceId.eq(device));
    }
    let total = listing::total(scope, &query, stretch).await?;
    let order = Order::by_key(Column::Id.into_expr(), newest_first);
    let found = order.of(query, stretch)?.all(scope.reader()).await?;
    let page = Page::cut(found, stretch.limit, |model| Place::of_key(model.id));
    Ok(page.of(total).map(Delivery::from))
}

/// The attempts of some deliveries, in their order, with the delivery each belongs to.
pub async fn attempts(scope: &Scope, deliveries: &[Uuid]) -> Result<Vec<(Uuid, i32, Attempt)>> {
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
            retry_at: None,
        };
        (model.delivery_id, model.attempt, attempt)
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
            ordered: _,
            round_start,
            last_answer,
        } = model;
        let state = State::parse(&state);
        Self {
            id,
            device_id,
            kind: EventType::parse(&kind),
            subject_id,
            state,
            attempt,
            round_start,
            due_at,
            body,
            last_status,
            last_error,
            last_answer,
            created_at,
            updated_at,
        }
    }
}
