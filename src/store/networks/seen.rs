//! Revisions of a connection and its downlink settings, on which a decision was based.

use sea_orm::{ColumnTrait, QueryFilter, QuerySelect, sea_query::LockType};

use crate::{
    error::Result,
    id::ConnectionId,
    store::{
        core::{scope::Scope, transaction::DatabaseTransaction},
        entities::{downlink_setting, network_connection},
    },
};

/// Revisions at which a connection and its downlink settings were read. Decisions based on them hold while they are
/// unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Revision of the connection.
    pub connection: i64,
    /// Revision of the downlink settings; 0 if there are none.
    pub settings: i64,
}

/// Locks the connection until the end of the transaction; returns true if it and its settings still have these
/// revisions. Must be called before downlinks are changed.
pub(in crate::store) async fn is_as_seen(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    connection: ConnectionId,
    seen: Seen,
    lock: LockType,
) -> Result<bool> {
    let revision = scope
        .find::<network_connection::Entity>()
        .filter(network_connection::Column::Id.eq(connection.0))
        .lock(lock)
        .one(transaction)
        .await?
        .map(|connection| connection.revision);
    if revision != Some(seen.connection) {
        return Ok(false);
    }
    let settings = scope
        .find::<downlink_setting::Entity>()
        .filter(downlink_setting::Column::ConnectionId.eq(connection.0))
        .one(transaction)
        .await?;
    Ok(settings.map_or(0, |settings| settings.revision) == seen.settings)
}
