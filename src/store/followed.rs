//! The queue of an integration that is followed: nothing is sent out, those who follow read it.

use sea_orm::{
    ColumnTrait, Condition, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    Scope,
    deliveries::{Delivery, State},
    entities::{delivery, integration_health},
};
use crate::{clock, error::Result, id::IntegrationId};

/// What was queued above the id and is not given up, the oldest first.
pub async fn above(
    scope: &Scope,
    integration: IntegrationId,
    after: Uuid,
    limit: u64,
) -> Result<Vec<Delivery>> {
    use delivery::Column;
    let which = Condition::all()
        .add(Column::Id.gt(after))
        .add(Column::State.ne(State::Dead.as_str()));
    read(scope, integration, which, limit).await
}

/// What waits up to the id, the oldest first.
pub async fn waiting(
    scope: &Scope,
    integration: IntegrationId,
    up_to: Uuid,
    limit: u64,
) -> Result<Vec<Delivery>> {
    use delivery::Column;
    let which = Condition::all()
        .add(Column::Id.lte(up_to))
        .add(Column::DueAt.is_not_null())
        .add(Column::State.eq(State::Pending.as_str()));
    read(scope, integration, which, limit).await
}

async fn read(
    scope: &Scope,
    integration: IntegrationId,
    which: Condition,
    limit: u64,
) -> Result<Vec<Delivery>> {
    let found = scope
        .find::<delivery::Entity>()
        .filter(delivery::Column::IntegrationId.eq(integration.0))
        .filter(which)
        .order_by_asc(delivery::Column::Id)
        .limit(limit)
        .all(scope.reader())
        .await?;
    Ok(found.into_iter().map(Delivery::from).collect())
}

/// Settles what somebody has received, unless it is settled.
pub async fn settle(scope: &Scope, integration: IntegrationId, ids: &[Uuid]) -> Result<()> {
    use delivery::Column;
    use integration_health::Column as Health;
    let now = clock::now();
    let transaction = scope.store.begin().await?;
    let settled = scope
        .update::<delivery::Entity>()
        .col_expr(Column::State, Expr::value(State::Delivered.as_str()))
        .col_expr(Column::DueAt, Expr::value(None::<clock::Time>))
        .col_expr(Column::Attempt, Expr::col(Column::Attempt).add(1))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::IntegrationId.eq(integration.0))
        .filter(Column::Id.is_in(ids.iter().copied()))
        .filter(Column::State.eq(State::Pending.as_str()))
        .exec(&transaction)
        .await?
        .rows_affected;
    if settled > 0 {
        let settled = i64::try_from(settled).unwrap_or(i64::MAX);
        scope
            .update::<integration_health::Entity>()
            .col_expr(Health::Delivered, Expr::col(Health::Delivered).add(settled))
            .col_expr(Health::LastDeliveredAt, Expr::value(now))
            .filter(Health::IntegrationId.eq(integration.0))
            .exec(&transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Gives up one that nobody will ever receive.
pub async fn bury(scope: &Scope, integration: IntegrationId, id: Uuid, reason: &str) -> Result<()> {
    bury_all(scope, integration, delivery::Column::Id.eq(id), reason).await
}

/// Gives up what nobody has followed for so long that `keep` newer ones wait.
pub async fn bury_old(scope: &Scope, integration: IntegrationId, keep: u64) -> Result<()> {
    use delivery::Column;
    let newest_of_the_old = scope
        .find::<delivery::Entity>()
        .select_only()
        .column(Column::Id)
        .filter(Column::IntegrationId.eq(integration.0))
        .filter(Column::DueAt.is_not_null())
        .order_by_desc(Column::Id)
        .offset(keep)
        .limit(1)
        .into_tuple::<Uuid>()
        .one(scope.reader())
        .await?;
    let Some(newest_of_the_old) = newest_of_the_old else {
        return Ok(());
    };
    let reason = format!("nobody followed, and {keep} newer ones wait");
    bury_all(
        scope,
        integration,
        Column::Id.lte(newest_of_the_old),
        &reason,
    )
    .await
}

async fn bury_all(
    scope: &Scope,
    integration: IntegrationId,
    which: impl sea_orm::sea_query::IntoCondition,
    reason: &str,
) -> Result<()> {
    use delivery::Column;
    use integration_health::Column as Health;
    let transaction = scope.store.begin().await?;
    let buried = scope
        .update::<delivery::Entity>()
        .col_expr(Column::State, Expr::value(State::Dead.as_str()))
        .col_expr(Column::DueAt, Expr::value(None::<clock::Time>))
        .col_expr(Column::LastError, Expr::value(reason))
        .col_expr(Column::UpdatedAt, Expr::value(clock::now()))
        .filter(Column::IntegrationId.eq(integration.0))
        .filter(Column::DueAt.is_not_null())
        .filter(which)
        .exec(&transaction)
        .await?
        .rows_affected;
    if buried > 0 {
        let buried = i64::try_from(buried).unwrap_or(i64::MAX);
        scope
            .update::<integration_health::Entity>()
            .col_expr(Health::Dead, Expr::col(Health::Dead).add(buried))
            .filter(Health::IntegrationId.eq(integration.0))
            .exec(&transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// How many wait.
pub async fn count_waiting(scope: &Scope, integration: IntegrationId) -> Result<u64> {
    Ok(scope
        .find::<delivery::Entity>()
        .filter(delivery::Column::IntegrationId.eq(integration.0))
        .filter(delivery::Column::DueAt.is_not_null())
        .count(scope.reader())
        .await?)
}
