//! Revisions of a connection and its settings for downlinks, by which something was decided.

use sea_orm::{ColumnTrait, QueryFilter, QuerySelect, sea_query::LockType};

use crate::{
    error::Result,
    id::ConnectionId,
    store::{
        core::{scope::Scope, transaction::DatabaseTransaction},
        entities::{downlink_setting, network_connection},
    },
};

/// At which revisions a connection and its settings were read. What was decided by them holds while
/// they are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The connection's.
    pub connection: i64,
    /// That of its settings; 0: it has none.
    pub settings: i64,
}

/// Whether a connection and its settings still are as they were seen. They stay so until the end of
/// the transaction. Downlinks are changed after this, never before.
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
