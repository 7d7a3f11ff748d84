//! Rows of network connections: locking, changes and removal.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};

use crate::{
    error::{Error, Reason, Result},
    id::ConnectionId,
    store::{
        core::{failure, gather::padded, removed, scope::Scope, transaction::DatabaseTransaction},
        entities::{connection_health, downlink_setting, network_connection},
        networks::record::{Connection, NewConnection},
    },
};

/// Name of the resource in paths.
pub(in crate::store) const RESOURCE: &str = "network-connections";

/// Removes a connection whose row is locked.
pub(in crate::store) async fn bury(
    transaction: &DatabaseTransaction,
    id: i64,
) -> Result<(), DbErr> {
    use network_connection::Column;
    removed::bury::<network_connection::Entity>(Column::Name)
        .col_expr(Column::Enabled, Expr::value(false))
        .col_expr(Column::Secret, Expr::value(None::<Vec<u8>>))
        .filter(Column::Id.eq(id))
        .exec(transaction)
        .await?;
    connection_health::Entity::delete_by_id(id)
        .exec(transaction)
        .await?;
    downlink_setting::Entity::delete_by_id(id)
        .exec(transaction)
        .await?;
    Ok(())
}

/// Fails if newly written addresses refer to a removed connection. Must run after the write: before, a concurrent
/// removal may not be visible yet.
pub(in crate::store) async fn check_live(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    addresses: impl Iterator<Item = i64>,
) -> Result<()> {
    let ids: BTreeSet<i64> = addresses.collect();
    if ids.is_empty() {
        return Ok(());
    }
    let live = scope
        .find::<network_connection::Entity>()
        .filter(network_connection::Column::Id.is_in(padded(ids.iter().copied().collect())))
        .count(transaction)
        .await?;
    match live == ids.len() as u64 {
        true => Ok(()),
        false => Err(just_deleted()),
    }
}

/// Returns the error for a connection that was removed after it was checked.
pub(in crate::store) fn just_deleted() -> Error {
    Error::of_field(
        Reason::UnknownReference,
        "connectivity.connections",
        "a network connection has just been deleted",
    )
}

/// Writes changed columns of a row that is locked at this revision; returns the new connection.
pub(in crate::store) async fn change(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    (id, revision): (ConnectionId, i64),
    changed: network_connection::ActiveModel,
) -> Result<Connection> {
    let changed = network_connection::ActiveModel {
        updated_at: Set(scope.now()),
        revision: Set(revision + 1),
        ..changed
    };
    let updated = scope
        .update::<network_connection::Entity>()
        .set(changed)
        .filter(network_connection::Column::Id.eq(id.0))
        .exec_with_returning(transaction)
        .await
        .map_err(name_taken)?;
    let model = updated.into_iter().next().ok_or_else(|| missing(id))?;
    with_health(scope, transaction, model).await
}

pub(in crate::store) async fn with_health(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    model: network_connection::Model,
) -> Result<Connection> {
    let health = scope
        .find::<connection_health::Entity>()
        .filter(connection_health::Column::ConnectionId.eq(model.id))
        .one(transaction)
        .await?;
    Ok(Connection::from((model, health)))
}

/// Locks the connection until the end of the transaction and returns its configuration. Rows that refer to the
/// connection may still be written.
pub(in crate::store) async fn hold(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: ConnectionId,
) -> Result<NewConnection> {
    let found = scope
        .find::<network_connection::Entity>()
        .filter(network_connection::Column::Id.eq(id.0))
        .lock(LockType::NoKeyUpdate)
        .one(transaction)
        .await?
        .ok_or_else(|| missing(id))?;
    Ok(Connection::from((found, None)).provisioned)
}

pub(in crate::store) async fn lock(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    lock: LockType,
    id: ConnectionId,
) -> Result<network_connection::Model> {
    let which = network_connection::Column::Id.eq(id.0);
    scope
        .lock_as::<network_connection::Entity>(transaction, lock, which, || missing(id))
        .await
}

pub(in crate::store) fn missing(id: ConnectionId) -> Error {
    Error::missing("network connection", id)
}

pub(in crate::store) fn name_taken(error: DbErr) -> Error {
    failure::name_taken(error, "network connection")
}
