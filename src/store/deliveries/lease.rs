//! Assignment of integrations to hubs.
//!
//! Among hubs that share a database, the holder of an integration's lease delivers for it and keeps renewing the
//! lease. Times are the database's. A file has only one hub, which needs no lease.

use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::super::entities::{delivery, integration, integration_health};
use crate::{
    clock::Time,
    error::Result,
    id::{IntegrationId, TenantId},
    store::core::{handle::Store, removed, scope::Scope},
};

/// Takes or renews the integration's lease for `life`; returns true if this hub holds it.
pub async fn hold(
    scope: &Scope,
    integration: IntegrationId,
    hub: Uuid,
    life: Duration,
) -> Result<bool> {
    use integration_health::Column;
    if !scope.store.is_shared() {
        return Ok(true);
    }
    let held = scope
        .update::<integration_health::Entity>()
        .col_expr(Column::Holder, Expr::value(hub))
        .col_expr(Column::HeldUntil, scope.store.after(life))
        .filter(Column::IntegrationId.eq(integration.0))
        .filter(is_free_for(&scope.store, hub))
        .exec(&scope.store.inner.leases)
        .await?;
    Ok(held.rows_affected > 0)
}

/// Releases the lease, so that another hub need not wait for it to expire.
pub async fn release(scope: &Scope, integration: IntegrationId, hub: Uuid) -> Result<()> {
    use integration_health::Column;
    if scope.store.is_shared() {
        scope
            .update::<integration_health::Entity>()
            .col_expr(Column::HeldUntil, Expr::value(None::<Time>))
            .filter(Column::IntegrationId.eq(integration.0))
            .filter(Column::Holder.eq(hub))
            .exec(&scope.store.inner.leases)
            .await?;
    }
    Ok(())
}

fn is_free_for(store: &Store, hub: Uuid) -> Condition {
    use integration_health::Column;
    let held_until = Expr::col((integration_health::Entity, Column::HeldUntil));
    Condition::any()
        .add(Column::HeldUntil.is_null())
        .add(held_until.lt(store.now_plus(TimeDelta::zero())))
        .add(Column::Holder.eq(hub))
}

impl Store {
    /// Returns the integrations of all tenants that have due deliveries and no other hub as their lease holder.
    pub async fn integrations_with_work(
        &self,
        hub: Uuid,
    ) -> Result<Vec<(TenantId, IntegrationId)>> {
        // EXISTS needs one index look-up per integration, however large its backlog is.
        let due = Query::select()
            .expr(Expr::value(1))
            .from(delivery::Entity)
            .and_where(
                Expr::col((delivery::Entity, delivery::Column::IntegrationId))
                    .equals((integration::Entity, integration::Column::Id)),
            )
            .and_where(Expr::col((delivery::Entity, delivery::Column::DueAt)).lte(self.now()))
            .to_owned();
        let found: Vec<(i64, i64)> = integration::Entity::find()
            .inner_join(integration_health::Entity)
            .filter(integration::Column::Enabled.eq(true))
            .filter(removed::is_live(integration::Column::TenantId.into_expr()))
            .filter(integration_health::Column::PausedAt.is_null())
            .filter(is_free_for(self, hub))
            .filter(Expr::exists(due))
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
