//! Resending of settled deliveries.

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use super::{super::entities::delivery, Filter, State};
use crate::{
    error::Result,
    id::IntegrationId,
    store::core::{audit::subject, scope::Scope},
};

/// Maximum number of deliveries per transaction, so that uplinks do not wait for long.
const CHUNK: u64 = 1000;

/// Queues the next chunk of settled deliveries after `after` again, with their identifiers and a new retry schedule.
/// Returns their number, and the last identifier if there may be more.
pub async fn chunk(
    scope: &Scope,
    integration: IntegrationId,
    filter: &Filter,
    after: Option<Uuid>,
) -> Result<(u64, Option<Uuid>)> {
    use delivery::Column;
    let mut query = scope
        .find::<delivery::Entity>()
        .filter(filter.condition(integration))
        .filter(Column::DueAt.is_null());
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    let ids: Vec<Uuid> = query
        .order_by_asc(Column::Id)
        .limit(CHUNK)
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(scope.reader())
        .await?;
    let last = ids.last().copied().filter(|_| ids.len() as u64 == CHUNK);
    if ids.is_empty() {
        return Ok((0, None));
    }
    let now = scope.now();
    let queued = scope
        .record(async |transaction| {
            let queued = scope
                .update::<delivery::Entity>()
                .col_expr(Column::State, Expr::value(State::Pending.as_str()))
                .col_expr(Column::DueAt, Expr::value(now))
                .col_expr(Column::RoundStart, Expr::col(Column::Attempt))
                .col_expr(Column::UpdatedAt, Expr::value(now))
                .filter(Column::IntegrationId.eq(integration.0))
                .filter(Column::Id.is_in(ids))
                .filter(Column::DueAt.is_null())
                .exec(&*transaction)
                .await?
                .rows_affected;
            if queued > 0 {
                let noted = serde_json::json!({"resent": queued});
                scope
                    .note_changed(
                        &transaction,
                        subject("integrations", integration),
                        &serde_json::json!({}),
                        &noted,
                    )
                    .await?;
            }
            Ok(queued)
        })
        .await?;
    Ok((queued, last))
}
