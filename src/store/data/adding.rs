//! Adds rows to data tables beside the uplink path.

use crate::{
    error::{Error, Result},
    store::{
        core::{bulk, failure, transaction::DatabaseTransaction},
        entities::data_table_row,
    },
};

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
