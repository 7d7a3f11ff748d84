//! Adds rows to data tables and deletes them beside the uplink path.

use sea_orm::{ColumnTrait, QueryFilter};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    store::{
        core::{bulk, failure, gather::padded, scope::Scope, transaction::DatabaseTransaction},
        entities::data_table_row,
    },
};

/// Number of rows that one statement deletes.
const KEYS_AT_ONCE: usize = 1000;

/// Adds rows, whose devices are locked by the transaction.
pub(in crate::store) async fn add(
    transaction: &DatabaseTransaction,
    rows: Vec<data_table_row::ActiveModel>,
) -> Result<()> {
    bulk::insert(transaction, rows, None)
        .await
        .map_err(|error| match failure::is_dangling(&error) {
            true => Error::overloaded("the data table is being deleted"),
            false => error.into(),
        })
}

/// Deletes rows, whose devices are locked by the transaction.
pub(in crate::store) async fn delete(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    keys: Vec<Uuid>,
) -> Result<()> {
    for keys in keys.chunks(KEYS_AT_ONCE) {
        scope
            .delete::<data_table_row::Entity>()
            .filter(data_table_row::Column::Id.is_in(padded(keys.to_vec())))
            .exec(transaction)
            .await?;
    }
    Ok(())
}
