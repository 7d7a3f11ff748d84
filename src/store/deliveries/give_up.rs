//! Limits of an integration's queue: deliveries beyond them become dead letters with the reason.
//!
//! Otherwise, an integration that is paused or disabled, or whose target is gone, would store deliveries until the
//! disk is full for everybody. Only the lane of an integration calls this, because only the lane knows which
//! deliveries are in progress.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    super::entities::{delivery, integration, integration_health},
    State, queue,
};
use crate::{
    clock::Time,
    error::Result,
    id::{IntegrationId, TenantId, first_uuid_at},
    store::core::{
        gather::padded, handle::Store, removed, scope::Scope, transaction::DatabaseTransaction,
    },
};

/// Maximum number of deliveries per transaction, so that uplinks do not wait for long.
const CHUNK: u64 = 500;

/// Limits of the queue of one integration.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Maximum number of waiting deliveries.
    pub waiting_max: u64,
    /// Maximum time that a delivery waits without an attempt.
    pub wait_max: TimeDelta,
}

/// Deliveries beyond a limit.
#[derive(Debug, Clone)]
pub enum Excess {
    /// Deliveries up to an id, because enough newer ones wait.
    Crowded {
        /// Newest delivery to give up.
        up_to: Uuid,
        /// Number of newer deliveries that wait.
        newer: u64,
    },
    /// Deliveries without an attempt for too long.
    Stale {
        /// Time before which they last changed.
        before: Time,
        /// Limit in hours.
        hours: i64,
    },
}

impl Excess {
    /// Returns the reason, which becomes the last error of the delivery.
    fn reason(&self) -> String {
        match self {
            Excess::Crowded { newer, .. } => {
                format!("given up: {newer} newer deliveries wait for the integration")
            }
            Excess::Stale { hours, .. } => {
                format!("given up: it has waited for {hours} hours without an attempt")
            }
        }
    }

    fn condition(&self) -> Condition {
        use delivery::Column;
        match self {
            Excess::Crowded { up_to, .. } => Condition::all().add(Column::Id.lte(*up_to)),
            Excess::Stale { before, .. } => Condition::all()
                .add(Column::Id.lt(first_uuid_at(*before)))
                .add(Column::UpdatedAt.lt(*before)),
        }
    }
}

/// Finds deliveries of an integration beyond its limits; too old ones are returned first.
pub async fn find(
    scope: &Scope,
    integration: IntegrationId,
    bounds: &Bounds,
) -> Result<Option<Excess>> {
    use delivery::Column;
    let stale = Excess::Stale {
        before: scope.now() - bounds.wait_max,
        hours: bounds.wait_max.num_hours(),
    };
    let first_stale = waiting(scope, integration)
        .filter(stale.condition())
        .order_by_asc(Column::Id)
        .select_only()
        .column(Column::Id)
        .into_tuple::<Uuid>()
        .one(scope.reader())
        .await?;
    if first_stale.is_some() {
        return Ok(Some(stale));
    }
    let newest_beyond = waiting(scope, integration)
        .order_by_desc(Column::Id)
        .select_only()
        .column(Column::Id)
        .offset(bounds.waiting_max)
        .limit(1)
        .into_tuple::<Uuid>()
        .one(scope.reader())
        .await?;
    Ok(newest_beyond.map(|up_to| Excess::Crowded {
        up_to,
        newer: bounds.waiting_max,
    }))
}

/// Gives up a chunk of these deliveries, oldest first, except those that the lane holds. Returns their number, and
/// true if there may be more.
pub async fn chunk(
    scope: &Scope,
    integration: IntegrationId,
    excess: &Excess,
    held: &BTreeSet<Uuid>,
) -> Result<(u64, bool)> {
    use delivery::Column;
    let limit = CHUNK + held.len() as u64;
    let found: Vec<(Uuid, String, bool)> = waiting(scope, integration)
        .filter(excess.condition())
        .order_by_asc(Column::Id)
        .limit(limit)
        .select_only()
        .column(Column::Id)
        .column(Column::DeviceId)
        .column(Column::Ordered)
        .into_tuple()
        .all(scope.reader())
        .await?;
    let is_full = found.len() as u64 == limit;
    let mut ids = Vec::new();
    let mut devices = BTreeSet::new();
    for (id, device, ordered) in found {
        if !held.contains(&id) {
            ids.push(id);
            devices.extend(ordered.then_some(device));
        }
    }
    if ids.is_empty() {
        return Ok((0, false));
    }
    let transaction = scope.store.begin([]).await?;
    let written = write(scope, &transaction, integration, ids, excess).await;
    let written = match written {
        Ok(given_up) => advance(scope, &transaction, integration, &devices)
            .await
            .map(|()| given_up),
        Err(error) => Err(error),
    };
    Ok((transaction.finish(written).await?, is_full))
}

async fn write(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    integration: IntegrationId,
    ids: Vec<Uuid>,
    excess: &Excess,
) -> Result<u64> {
    use delivery::Column;
    use integration_health::Column as Health;
    let condition = excess.condition();
    let given_up = scope
        .update::<delivery::Entity>()
        .col_expr(Column::State, Expr::value(State::Dead.as_str()))
        .col_expr(Column::DueAt, Expr::value(None::<Time>))
        .col_expr(Column::LastError, Expr::value(excess.reason()))
        .col_expr(Column::UpdatedAt, Expr::value(scope.now()))
        .filter(Column::IntegrationId.eq(integration.0))
        .filter(Column::Id.is_in(padded(ids)))
        .filter(Column::DueAt.is_not_null())
        // A delivery that was resent in the meantime starts a new wait.
        .filter(condition)
        .exec(transaction)
        .await?
        .rows_affected;
    let count = i64::try_from(given_up).unwrap_or(i64::MAX);
    scope
        .update::<integration_health::Entity>()
        .col_expr(Health::Dead, Expr::col(Health::Dead).add(count))
        .col_expr(Health::GivenUp, Expr::col(Health::GivenUp).add(count))
        .filter(Health::IntegrationId.eq(integration.0))
        .exec(transaction)
        .await?;
    Ok(given_up)
}

/// Makes the next deliveries of these devices due.
async fn advance(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    integration: IntegrationId,
    devices: &BTreeSet<String>,
) -> Result<()> {
    let now = scope.now();
    for device in devices {
        queue::advance(transaction, integration.0, device, now).await?;
    }
    Ok(())
}

fn waiting(scope: &Scope, integration: IntegrationId) -> Select<delivery::Entity> {
    use delivery::Column;
    scope
        .find::<delivery::Entity>()
        .filter(Column::IntegrationId.eq(integration.0))
        .filter(Column::State.eq(State::Pending.as_str()))
}

impl Store {
    /// Returns the paused and disabled integrations of all tenants, which have no lane that would limit their
    /// queues.
    pub async fn resting_integrations(&self) -> Result<Vec<(TenantId, IntegrationId)>> {
        let rests = Condition::any()
            .add(integration::Column::Enabled.eq(false))
            .add(integration_health::Column::PausedAt.is_not_null());
        let found: Vec<(i64, i64)> = integration::Entity::find()
            .inner_join(integration_health::Entity)
            .filter(removed::is_live(integration::Column::TenantId.into_expr()))
            .filter(rests)
            .order_by_asc(integration::Column::Id)
            .select_only()
            .column(integration::Column::TenantId)
            .column(integration::Column::Id)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let typed = |(tenant, id)| (TenantId(tenant), IntegrationId(id));
        Ok(found.into_iter().map(typed).collect())
    }
}
