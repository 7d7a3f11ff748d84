//! Deletion of settled deliveries after their retention, in chunks, so that uplinks do not wait for long.
//!
//! Hubs may do it at the same time without harm.

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
    sea_query::SimpleExpr,
};
use uuid::Uuid;

use super::{
    super::entities::{delivery, integration},
    State,
};
use crate::{
    clock::Time,
    error::Result,
    id::{IntegrationId, first_uuid_at},
    store::core::{handle::Store, removed},
};

/// Maximum number of deliveries per transaction.
const CHUNK: u64 = 1000;
/// Must match the condition of the partial index exactly; otherwise the index is not used.
const IS_DEAD: &str = "\"deliveries\".\"state\" = 'dead'";

impl Store {
    /// Returns the integrations of all tenants.
    pub async fn all_integrations(&self) -> Result<Vec<IntegrationId>> {
        let found: Vec<i64> = integration::Entity::find()
            .filter(removed::is_live(integration::Column::TenantId.into_expr()))
            .order_by_asc(integration::Column::Id)
            .select_only()
            .column(integration::Column::Id)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        Ok(found.into_iter().map(IntegrationId).collect())
    }

    /// Deletes a chunk of the dead letters that died before this time; returns their number.
    pub async fn forget_dead(&self, before: Time) -> Result<u64> {
        use delivery::Column;
        let ids: Vec<Uuid> = delivery::Entity::find()
            .filter(Expr::cust(IS_DEAD))
            .filter(Column::UpdatedAt.lt(before))
            .order_by_asc(Column::UpdatedAt)
            .limit(CHUNK)
            .select_only()
            .column(Column::Id)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        self.forget(ids, Expr::cust(IS_DEAD), before).await
    }

    /// Deletes those of a chunk of an integration's deliveries after `after` that were delivered before this time;
    /// returns where to continue. An index on that time would cost a write per delivery. Candidates are found by
    /// their ids instead, because few deliveries complete much later than they were queued.
    pub async fn forget_delivered(
        &self,
        integration: IntegrationId,
        before: Time,
        after: Option<Uuid>,
    ) -> Result<Option<Uuid>> {
        use delivery::Column;
        let is_delivered = || Column::State.eq(State::Delivered.as_str());
        let found: Vec<(Uuid, Time)> = delivery::Entity::find()
            .filter(Column::IntegrationId.eq(integration.0))
            .filter(is_delivered())
            .filter(Column::Id.gt(after.unwrap_or_default()))
            .filter(Column::Id.lt(first_uuid_at(before)))
            .order_by_asc(Column::Id)
            .limit(CHUNK)
            .select_only()
            .column(Column::Id)
            .column(Column::UpdatedAt)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let last = found.last().map(|(id, _)| *id);
        let is_full = found.len() as u64 == CHUNK;
        let is_old = |(id, at): (Uuid, Time)| (at < before).then_some(id);
        let ids = found.into_iter().filter_map(is_old).collect();
        self.forget(ids, is_delivered(), before).await?;
        Ok(last.filter(|_| is_full))
    }

    /// Deletes these deliveries, unless they were queued again in the meantime.
    async fn forget(&self, ids: Vec<Uuid>, is_settled: SimpleExpr, before: Time) -> Result<u64> {
        use delivery::Column;
        if ids.is_empty() {
            return Ok(0);
        }
        let deleted = delivery::Entity::delete_many()
            .filter(Column::Id.is_in(ids))
            .filter(is_settled)
            .filter(Column::UpdatedAt.lt(before))
            .exec(&self.inner.writer)
            .await?;
        Ok(deleted.rows_affected)
    }
}
