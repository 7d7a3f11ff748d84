//! Takes away what was settled long ago, some at a time: uplinks must not wait for more.
//!
//! Hubs that do it at once do no harm.

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

/// Deliveries in one transaction.
const CHUNK: u64 = 1000;
/// As in the partial index, to the letter: an index serves no other condition.
const IS_DEAD: &str = "\"deliveries\".\"state\" = 'dead'";

impl Store {
    /// The integrations of all tenants.
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

    /// Deletes a chunk of those that died before; answers how many.
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

    /// Looks at a chunk of an integration's delivered ones behind `after`, and deletes those that were
    /// delivered before; answers where to go on. An index by that time would cost each delivery a
    /// write: those that may be old are found by their ids, and few of them were delivered much later
    /// than queued.
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

    /// Deletes these, unless they were queued again meanwhile.
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
