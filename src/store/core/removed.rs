//! Removed rows: those of tenant [`REMOVED`] and of removed tenants.

use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, UpdateMany,
    sea_query::{Expr, ExprTrait, LockType, Query},
};

use super::{rows::Owned, transaction::DatabaseTransaction};
use crate::{clock::Time, id::TenantId, store::entities::tenant};

/// Reserved tenant that owns removed rows.
pub const REMOVED: TenantId = TenantId(0);

/// Returns the condition that the row's tenant is not removed, for queries across all tenants.
pub fn is_live(tenant: impl ExprTrait) -> Expr {
    let removed = Query::select()
        .column(tenant::Column::Id)
        .from(tenant::Entity)
        .and_where(Expr::col((tenant::Entity, tenant::Column::RemovedAt)).is_not_null())
        .to_owned();
    tenant.not_in_subquery(removed)
}

/// Removes rows from their tenant. They get names that no client can give, which frees the old names. The caller
/// adds the filter and has locked the rows.
pub fn bury<E: Owned>(name: E::Column) -> UpdateMany<E> {
    E::update_many()
        .col_expr(E::TENANT, Expr::value(REMOVED.0))
        .col_expr(name, unique_name())
}

/// Returns a name unique to the row that no client can give, because it contains a control character.
fn unique_name() -> Expr {
    Expr::cust("'\u{7f}' || CAST(id AS TEXT)")
}

/// Locks all rows of a tenant in the order of their keys and returns the keys.
pub async fn hold<E: Owned>(
    transaction: &DatabaseTransaction,
    tenant: TenantId,
    key: E::Column,
) -> Result<Vec<i64>, DbErr> {
    E::find()
        .filter(E::TENANT.eq(tenant.0))
        .order_by_asc(key)
        .lock(LockType::Update)
        .select_only()
        .column(key)
        .into_tuple()
        .all(transaction)
        .await
}

/// Marks a locked tenant as removed.
pub async fn bury_tenant(
    transaction: &DatabaseTransaction,
    id: TenantId,
    now: Time,
) -> Result<(), DbErr> {
    tenant::Entity::update_many()
        .col_expr(tenant::Column::Name, unique_name())
        .col_expr(tenant::Column::RemovedAt, Expr::value(now))
        .filter(tenant::Column::Id.eq(id.0))
        .exec(transaction)
        .await?;
    Ok(())
}

/// Returns the query for tenants that are not removed.
pub fn live_tenants() -> Select<tenant::Entity> {
    tenant::Entity::find().filter(tenant::Column::RemovedAt.is_null())
}
