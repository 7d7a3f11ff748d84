//! Processing of the downlink queue: claims with a lease, a single result per attempt, and updates from network
//! reports.
//!
//! During an attempt, `due_at` is the time at which the attempt counts as lost, so a process that dies releases its
//! work without further action. Of a device's downlinks in one network, only the first is due: by priority, then by
//! age.

use sea_orm::{
    ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};
use tokio::sync::watch;

use crate::{
    clock::Time,
    error::Result,
    id::{ConnectionId, TenantId},
    store::{
        core::{due, handle::Store, removed, scope::Scope, transaction::DatabaseTransaction},
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
pub use news::{DownlinkResult, News};

impl Store {
    /// Subscribes to changes of the downlink queue.
    pub fn queued_downlinks(&self) -> watch::Receiver<()> {
        self.inner.signals.downlinks.subscribe()
    }

    /// Returns the connections of all tenants with downlinks that wait to be sent or to expire.
    pub async fn connections_with_downlinks(&self) -> Result<Vec<(TenantId, ConnectionId)>> {
        use downlink::Column;
        // Downlinks of a removed connection are only waiting for deletion.
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

/// Applies changed settings to waiting downlinks: they become due at once, or wait for the device's next uplink.
/// Pending retries become due at once, too, because they have not been tried with these settings.
pub(in crate::store) async fn redirect(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    connection: ConnectionId,
    is_pushed: bool,
) -> Result<(), DbErr> {
    use downlink::Column;
    let due_at = match is_pushed {
        true => due::at_once(scope.now(), Column::UpdatedAt),
        false => Expr::value(None::<Time>),
    };
    hold_in_order(scope, transaction, waiting(connection)).await?;
    scope
        .update::<downlink::Entity>()
        .col_expr(Column::DueAt, due_at)
        .filter(waiting(connection))
        .filter(Column::IsSending.eq(false))
        .exec(transaction)
        .await?;
    Ok(())
}
