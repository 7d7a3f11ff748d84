//! Queue of an integration that clients follow: the hub sends nothing, and clients read the deliveries.

use sea_orm::{ColumnTrait, Condition, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::{
    error::Result,
    id::IntegrationId,
    store::{
        core::scope::Scope,
        deliveries::{Attempt, Delivery, State, settle::Settled},
        entities::delivery,
    },
};

/// Maximum number of deliveries given up in one transaction.
const BURIED_AT_ONCE: u64 = 500;

/// Returns deliveries with ids above `after` that were not given up, oldest first.
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

/// Returns waiting deliveries up to this id, oldest first.
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
    found.into_iter().map(Delivery::try_from).collect()
}

/// Settles received deliveries, unless they are settled already.
pub async fn settle(
    scope: &Scope,
    integration: IntegrationId,
    received: Vec<Delivery>,
) -> Result<()> {
    settle_all(scope, integration, received, None).await
}

/// Gives up deliveries that no client will receive.
pub async fn bury(
    scope: &Scope,
    integration: IntegrationId,
    hopeless: Vec<Delivery>,
    reason: &str,
) -> Result<()> {
    settle_all(scope, integration, hopeless, Some(reason)).await
}

/// Gives up waiting deliveries beyond the newest `keep` ones.
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
    let reason =
        format!("given up: nobody followed the integration, and {keep} newer messages wait");
    loop {
        let old = waiting(scope, integration, newest_of_the_old, BURIED_AT_ONCE).await?;
        if old.is_empty() {
            return Ok(());
        }
        bury(scope, integration, old, &reason).await?;
    }
}

/// Settles each delivery by an attempt of its own; those settled in the meantime stay unchanged.
async fn settle_all(
    scope: &Scope,
    integration: IntegrationId,
    deliveries: Vec<Delivery>,
    error: Option<&str>,
) -> Result<()> {
    let now = scope.now();
    let settled: Vec<Settled> = deliveries
        .into_iter()
        .map(|mut delivery| {
            delivery.attempt += 1;
            Settled {
                tenant: scope.tenant(),
                integration,
                delivery,
                attempt: Attempt {
                    at: now,
                    duration_ms: 0,
                    status: None,
                    error: error.map(str::to_owned),
                },
                answer: None,
                ended_at: now,
                retry_at: None,
                pause_after: None,
            }
        })
        .collect();
    if !settled.is_empty() {
        scope.store.settle(&settled).await?;
    }
    Ok(())
}

/// Returns the number of waiting deliveries.
pub async fn count_waiting(scope: &Scope, integration: IntegrationId) -> Result<u64> {
    Ok(scope
        .find::<delivery::Entity>()
        .filter(delivery::Column::IntegrationId.eq(integration.0))
        .filter(delivery::Column::DueAt.is_not_null())
        .count(scope.reader())
        .await?)
}
