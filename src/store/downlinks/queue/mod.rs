//! The queue of downlinks, worked off: claimed with a lease, settled once, moved by what networks tell.
//!
//! While an attempt is under way, `due_at` is the time at which it counts as lost, so a process that
//! dies gives its work back by doing nothing. Of a device's downlinks in one network only the first
//! is ever due: by priority, then by age.

use sea_orm::{
    ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};
use tokio::sync::watch;

use crate::{
    error::Result,
    id::{ConnectionId, TenantId},
    store::{
        core::{handle::Store, removed, scope::Scope, transaction::DatabaseTransaction},
        downlinks::{
            queue::rows::{hold_in_order, waiting},
            record::State,
        },
        entities::{downlink, network_connection},
    },
};

mod attempts;
mod claiming;
mod news;
mod rows;

pub use attempts::{Attempt, Outcome, expire, settle, take_for_answer};
pub use claiming::{Claim, claim, next};
pub(in crate::store) use news::apply;
pub use news::{Became, News};

impl Store {
    /// Changes whenever a downlink is queued.
    pub fn queued_downlinks(&self) -> watch::Receiver<()> {
        self.inner.signals.downlinks.subscribe()
    }

    /// The connections of all tenants over which something waits to be sent, or to expire.
    pub async fn connections_with_downlinks(&self) -> Result<Vec<(TenantId, ConnectionId)>> {
        use downlink::Column;
        // Those of a connection that was deleted wait to be cleared away.
        let connection = Query::select()
            .expr(Expr::value(1))
            .from(network_connection::Entity)
            .and_where(
                Expr::col((network_connection::Entity, network_connection::Column::Id))
                    .equals((downlink::Entity, Column::ConnectionId)),
            )
            .and_where(removed::is_live(Expr::col((
                network_connection::Entity,
                network_connection::Column::TenantId,
            ))))
            .to_owned();
        let found: Vec<(i64, i64)> = downlink::Entity::find()
            .filter(Column::State.eq(State::Queued.as_str()))
            .filter(Expr::exists(connection))
            .filter(
                Condition::any()
                    .add(Column::DueAt.is_not_null())
                    .add(Column::ExpiresAt.is_not_null()),
            )
            .select_only()
            .column(Column::TenantId)
            .column(Column::ConnectionId)
            .distinct()
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let typed = |(tenant, connection)| (TenantId(tenant), ConnectionId(connection));
        Ok(found.into_iter().map(typed).collect())
    }
}

/// What waits goes out by itself from now on, or waits to be asked for, as the connection's settings
/// say. What waits for another try is tried at once: by these settings, it was not tried yet.
pub(in crate::store) async fn redirect(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    connection: ConnectionId,
    is_pushed: bool,
) -> Result<(), DbErr> {
    use downlink::Column;
    let due_at = is_pushed.then(|| scope.now());
    hold_in_order(scope, transaction, waiting(connection)).await?;
    scope
        .update::<downlink::Entity>()
        .col_expr(Column::DueAt, Expr::value(due_at))
        .filter(waiting(connection))
        .filter(Column::IsSending.eq(false))
        .exec(transaction)
        .await?;
    Ok(())
}
