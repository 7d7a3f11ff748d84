//! Due deliveries, and the order of deliveries per device.
//!
//! In an integration that keeps its devices in order, only the oldest delivery of each device is due. A delivery
//! that becomes due behind an older one is parked once, and is made due when the older one is settled. No operation
//! walks along a queue, however long it is.

use sea_orm::{
    ColumnTrait, Condition, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{CaseStatement, Expr, ExprTrait, SimpleExpr},
};
use uuid::Uuid;

use super::{
    super::entities::{delivery, integration_health},
    Delivery,
};
use crate::{
    clock::Time,
    error::Result,
    id::IntegrationId,
    store::{
        core::{due, gather::padded, scope::Scope, transaction::DatabaseTransaction},
        deliveries::parking::parked,
    },
};

/// Condition that an older delivery of the same device is not settled yet. Must match the condition of the partial
/// index exactly; otherwise the index is not used.
const IS_BEHIND: &str = "\"deliveries\".\"ordered\" AND EXISTS (SELECT 1 FROM deliveries AS older \
     WHERE older.integration_id = \"deliveries\".\"integration_id\" \
     AND older.device_id = \"deliveries\".\"device_id\" \
     AND older.ordered AND older.due_at IS NOT NULL AND older.id < \"deliveries\".\"id\")";

#[derive(FromQueryResult)]
struct Found {
    #[sea_orm(nested)]
    delivery: delivery::Model,
    is_behind: bool,
}

/// Returns up to `limit` due deliveries that the hub does not hold, longest wait first; and true if there may be
/// more.
pub async fn due(
    scope: &Scope,
    integration: IntegrationId,
    held: Vec<Uuid>,
    limit: u64,
) -> Result<(Vec<Delivery>, bool)> {
    use delivery::Column;
    let mut query = scope
        .find::<delivery::Entity>()
        .column_as(Expr::cust(IS_BEHIND), "is_behind")
        .filter(of(integration))
        .filter(Column::DueAt.lte(scope.now()));
    if !held.is_empty() {
        query = query.filter(Column::Id.is_not_in(padded(held)));
    }
    let found = query
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::Id)
        .limit(limit)
        .into_model::<Found>()
        .all(scope.reader())
        .await?;
    let is_full = found.len() as u64 == limit;
    let (behind, first): (Vec<Found>, Vec<Found>) =
        found.into_iter().partition(|found| found.is_behind);
    if !behind.is_empty() {
        let behind = behind.into_iter().map(|found| found.delivery.id).collect();
        park(scope, integration, behind).await?;
    }
    let first = first.into_iter().map(|found| found.delivery.try_into());
    Ok((first.collect::<Result<_>>()?, is_full))
}

/// Returns the due time of the next delivery that is not due yet.
pub async fn next_due(scope: &Scope, integration: IntegrationId) -> Result<Option<Time>> {
    use delivery::Column;
    let due = scope
        .find::<delivery::Entity>()
        .filter(of(integration))
        .filter(Column::DueAt.gt(scope.now()))
        .order_by_asc(Column::DueAt)
        .select_only()
        .column(Column::DueAt)
        .into_tuple::<Option<Time>>()
        .one(scope.reader())
        .await?;
    Ok(due.flatten().filter(|due| *due < parked()))
}

/// Parks deliveries that wait for an older one, which takes them out of the due ones.
async fn park(scope: &Scope, integration: IntegrationId, ids: Vec<Uuid>) -> Result<()> {
    use delivery::Column;
    let transaction = scope.store.begin([]).await?;
    let parked: Result<(), DbErr> = async {
        // Settling the older delivery changes this row before it looks for parked ones, so the two cannot miss each
        // other.
        scope
            .find::<integration_health::Entity>()
            .filter(integration_health::Column::IntegrationId.eq(integration.0))
            .lock_exclusive()
            .one(&transaction)
            .await?;
        scope
            .update::<delivery::Entity>()
            .col_expr(Column::DueAt, Expr::value(parked()))
            .filter(Column::Id.is_in(padded(ids)))
            .filter(Column::DueAt.is_not_null())
            .filter(Expr::cust(IS_BEHIND))
            .exec(&transaction)
            .await?;
        Ok(())
    }
    .await;
    Ok(transaction.finish(parked).await?)
}

/// Makes the oldest waiting delivery of a device due, if it is parked.
pub(super) async fn advance(
    transaction: &DatabaseTransaction,
    integration: i64,
    device: &str,
    now: Time,
) -> Result<(), DbErr> {
    use delivery::Column;
    let next = delivery::Entity::find()
        .filter(Column::IntegrationId.eq(integration))
        .filter(Column::DeviceId.eq(device))
        .filter(Expr::cust("\"deliveries\".\"ordered\""))
        .filter(Column::DueAt.is_not_null())
        .order_by_asc(Column::Id)
        .select_only()
        .column(Column::Id)
        .into_tuple::<Uuid>()
        .one(transaction)
        .await?;
    if let Some(next) = next {
        // Devices take turns: the first attempts of a queue are due in the order in which they became possible.
        // `Store::watch` knows that none of them waits, whatever its `updated_at` is.
        let is_first = Expr::col(Column::Attempt).eq(Expr::col(Column::RoundStart));
        let due_at = CaseStatement::new()
            .case(is_first, Expr::value(now))
            .finally(due::at_once(now, Column::UpdatedAt));
        delivery::Entity::update_many()
            .col_expr(Column::DueAt, due_at.into())
            .filter(Column::Id.eq(next))
            .filter(Column::DueAt.gte(parked()))
            .exec(transaction)
            .await?;
    }
    Ok(())
}

fn of(integration: IntegrationId) -> SimpleExpr {
    delivery::Column::IntegrationId.eq(integration.0)
}

/// Size and age of a backlog.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backlog {
    /// Number of waiting deliveries, up to [`COUNTED_MAX`].
    pub pending: u64,
    /// True if there are more than were counted.
    pub is_more: bool,
    /// Time at which the oldest was queued.
    pub oldest_at: Option<Time>,
}

/// Maximum number of deliveries counted, because the cost of counting grows with the number.
pub const COUNTED_MAX: u64 = 10_000;

/// Returns the backlog of an integration.
pub async fn backlog(scope: &Scope, integration: IntegrationId) -> Result<Backlog> {
    use super::State;
    use delivery::Column;
    let pending = || {
        scope.find::<delivery::Entity>().filter(
            Condition::all()
                .add(of(integration))
                .add(Column::State.eq(State::Pending.as_str())),
        )
    };
    let ids: Vec<Uuid> = pending()
        .select_only()
        .column(Column::Id)
        .limit(COUNTED_MAX + 1)
        .into_tuple()
        .all(scope.reader())
        .await?;
    let oldest = pending()
        .order_by_asc(Column::Id)
        .select_only()
        .column(Column::CreatedAt)
        .into_tuple::<Time>()
        .one(scope.reader())
        .await?;
    let counted = ids.len() as u64;
    Ok(Backlog {
        pending: Ord::min(counted, COUNTED_MAX),
        is_more: counted > COUNTED_MAX,
        oldest_at: oldest,
    })
}
