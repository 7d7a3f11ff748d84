//! Rows that are out of sight: those of [`REMOVED`] and of tenants that are removed themselves.

use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, UpdateMany,
    sea_query::{Expr, ExprTrait, LockType, Query},
};

use super::{rows::Owned, transaction::DatabaseTransaction};
use crate::{clock, id::TenantId, store::entities::tenant};

/// The tenant that nobody is in.
pub const REMOVED: TenantId = TenantId(0);

/// Whether a row of this tenant is still there for anybody, for queries that serve all tenants.
pub fn is_live(tenant: impl ExprTrait) -> Expr {
    let removed = Query::select()
        .column(tenant::Column::Id)
        .from(tenant::Entity)
        .and_where(Expr::col((tenant::Entity, tenant::Column::RemovedAt)).is_not_null())
        .to_owned();
    tenant.not_in_subquery(removed)
}

/// Takes rows out of their tenant's sight. Their names are free, for they get others that no client can
/// give. The caller says which rows, and has locked them.
pub fn bury<E: Owned>(name: E::Column) -> UpdateMany<E> {
    E::update_many()
        .col_expr(E::TENANT, Expr::value(REMOVED.0))
        .col_expr(name, unique_name())
}

/// A name that no other row has, and that no client can give: it has a control character.
fn unique_name() -> Expr {
    Expr::cust("'\u{7f}' || CAST(id AS TEXT)")
}

/// Locks all rows of a tenant in the order of their keys, and answers these.
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

/// Takes a tenant whose row is held out of sight.
pub async fn bury_tenant(transaction: &DatabaseTransaction, id: TenantId) -> Result<(), DbErr> {
    tenant::Entity::update_many()
        .col_expr(tenant::Column::Name, unique_name())
        .col_expr(tenant::Column::RemovedAt, Expr::value(clock::now()))
        .filter(tenant::Column::Id.eq(id.0))
        .exec(transaction)
        .await?;
    Ok(())
}

/// The tenants that are there for anybody.
pub fn live_tenants() -> Select<tenant::Entity> {
    tenant::Entity::find().filter(tenant::Column::RemovedAt.is_null())
}
