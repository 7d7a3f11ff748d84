//! Claims of due downlinks, with a lease.

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
    sea_query::{
        CommonTableExpression, Expr, ExprTrait, LockBehavior, LockType, Query, SimpleExpr,
        WithClause,
    },
};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::Result,
    id::ConnectionId,
    store::{
        core::{scope::Scope, transaction::DatabaseTransaction},
        downlinks::{
            queue::rows::{IS_FIRST, hold_in_order, waiting},
            record::Downlink,
        },
        entities::downlink,
        networks::seen::{self, Seen},
    },
};

/// Selection of downlinks to claim.
pub struct Claim {
    /// Revisions of the connection and its settings when they were read.
    pub seen: Seen,
    /// True if these settings make the hub send downlinks by itself.
    pub is_pushed: bool,
    /// Downlinks that this hub is sending, even if the clock says that their leases have expired.
    pub under_way: Vec<Uuid>,
    /// Maximum number of downlinks.
    pub limit: u64,
    /// Duration of the lease.
    pub lease: TimeDelta,
}

/// Claims due downlinks. Returns `None` if the connection or its settings have changed.
///
/// Claims of a connection are serialized, because concurrent ones would not see each other's downlinks.
pub async fn claim(
    scope: &Scope,
    connection: ConnectionId,
    claim: Claim,
) -> Result<Option<Vec<Downlink>>> {
    let transaction = scope.store.begin([]).await?;
    let claimed = claim.run(scope, &transaction, connection).await;
    transaction.finish(claimed).await
}

impl Claim {
    async fn run(
        self,
        scope: &Scope,
        transaction: &DatabaseTransaction,
        connection: ConnectionId,
    ) -> Result<Option<Vec<Downlink>>> {
        let lock = LockType::NoKeyUpdate;
        let is_current = seen::is_as_seen(scope, transaction, connection, self.seen, lock);
        if !is_current.await? {
            return Ok(None);
        }
        match self.is_pushed {
            true => take(scope, transaction, connection, self).await.map(Some),
            false => {
                let is_left = Condition::any()
                    .add(downlink::Column::IsSending.eq(false))
                    .add(downlink::Column::DueAt.lte(scope.now()));
                wait_to_be_asked(scope, transaction, connection, is_left).await?;
                Ok(Some(Vec::new()))
            }
        }
    }
}

/// Makes downlinks wait for their device's next uplink instead of being sent by the hub, unless an attempt is in
/// progress.
async fn wait_to_be_asked(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    connection: ConnectionId,
    is_left: Condition,
) -> Result<(), DbErr> {
    use downlink::Column;
    let which = waiting(connection)
        .add(Column::DueAt.is_not_null())
        .add(is_left);
    hold_in_order(scope, transaction, which.clone()).await?;
    scope
        .update::<downlink::Entity>()
        .col_expr(Column::DueAt, Expr::value(None::<Time>))
        .col_expr(Column::IsSending, Expr::value(false))
        .filter(which)
        .exec(transaction)
        .await?;
    Ok(())
}

async fn take(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    connection: ConnectionId,
    claim: Claim,
) -> Result<Vec<Downlink>> {
    use downlink::Column;
    let now = scope.now();
    let due = scope
        .find::<downlink::Entity>()
        .select_only()
        .column(Column::Id)
        .filter(waiting(connection))
        .filter(Column::DueAt.lte(now))
        .filter(Expr::cust(IS_FIRST))
        .filter(Column::Id.is_not_in(claim.under_way))
        .order_by_asc(Column::DueAt)
        .limit(claim.limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    // A separate table expression, because PostgreSQL may run a subquery more than once and lock more rows than the
    // limit.
    let due = CommonTableExpression::new()
        .query(due)
        .table_name("due")
        .to_owned();
    let ids = Query::select().column("id").from("due").to_owned();
    let update = scope
        .update::<downlink::Entity>()
        .col_expr(Column::IsSending, Expr::value(true))
        .col_expr(Column::Attempt, Expr::col(Column::Attempt).add(1))
        .col_expr(Column::DueAt, Expr::value(now + claim.lease))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.in_subquery(ids))
        .into_query()
        .returning_all()
        .to_owned()
        .with(WithClause::new().cte(due).to_owned());
    let statement = transaction.get_database_backend().build(&update);
    let claimed = downlink::Model::find_by_statement(statement)
        .all(transaction)
        .await?;
    claimed.into_iter().map(Downlink::try_from).collect()
}

/// Returns the time of the next work on the connection: a downlink to send, if sending is allowed, or to expire.
pub async fn next(scope: &Scope, connection: ConnectionId, may_send: bool) -> Result<Option<Time>> {
    use downlink::Column;
    let earliest = async |column: Column, more: Option<SimpleExpr>| -> Result<Option<Time>> {
        let found = scope
            .find::<downlink::Entity>()
            .select_only()
            .column(column)
            .filter(waiting(connection))
            .filter(column.is_not_null())
            .filter(Condition::all().add_option(more))
            .order_by_asc(column)
            .into_tuple::<Option<Time>>()
            .one(scope.reader())
            .await?;
        Ok(found.flatten())
    };
    let due = match may_send {
        true => earliest(Column::DueAt, Some(Expr::cust(IS_FIRST))).await?,
        false => None,
    };
    let expires = earliest(Column::ExpiresAt, None).await?;
    Ok(match (due, expires) {
        (Some(due), Some(expires)) => Some(Ord::min(due, expires)),
        (due, expires) => due.or(expires),
    })
}
