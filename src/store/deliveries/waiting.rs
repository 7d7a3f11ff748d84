//! Deliveries of all tenants that wait, for the operator's metrics.

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::super::entities::{delivery, integration, integration_health};
use crate::{
    clock::Time,
    error::Result,
    store::core::{handle::Store, removed},
};

/// Type of target whose messages clients fetch.
const FOLLOWED: &str = "websocket";

/// Maximum number of deliveries that are counted, because the cost of counting grows with the number.
pub const COUNTED_MAX: u64 = 10_000;

impl Store {
    /// Returns the number of deliveries that are not settled, up to [`COUNTED_MAX`].
    pub async fn waiting_deliveries(&self) -> Result<u64> {
        let ids: Vec<Uuid> = delivery::Entity::find()
            .filter(delivery::Column::DueAt.is_not_null())
            .select_only()
            .column(delivery::Column::Id)
            .limit(COUNTED_MAX)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        Ok(ids.len() as u64)
    }

    /// Returns the time for which the oldest due delivery has been due, among the integrations that are enabled and
    /// not paused; zero if none is due.
    pub async fn oldest_due_delivery(&self) -> Result<TimeDelta> {
        let now = self.now();
        // One look-up in the index for each integration, however long the queues are.
        let first = Query::select()
            .expr(Expr::col((delivery::Entity, delivery::Column::DueAt)).min())
            .from(delivery::Entity)
            .and_where(
                Expr::col((delivery::Entity, delivery::Column::IntegrationId))
                    .equals((integration::Entity, integration::Column::Id)),
            )
            .and_where(Expr::col((delivery::Entity, delivery::Column::DueAt)).lte(now))
            .to_owned();
        let oldest: Vec<Option<Time>> = integration::Entity::find()
            .inner_join(integration_health::Entity)
            .filter(integration::Column::Enabled.eq(true))
            .filter(removed::is_live(integration::Column::TenantId.into_expr()))
            .filter(integration_health::Column::PausedAt.is_null())
            // Clients fetch these deliveries whenever they like.
            .filter(integration::Column::Kind.ne(FOLLOWED))
            .select_only()
            .expr_as(Expr::SubQuery(None, Box::new(first.into())), "first_due_at")
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let oldest = oldest.into_iter().flatten().min();
        Ok(oldest.map_or(TimeDelta::zero(), |oldest| {
            (now - oldest).max(TimeDelta::zero())
        }))
    }
}
