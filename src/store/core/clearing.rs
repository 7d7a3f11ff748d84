//! Deletion of many rows in small transactions: the rows are found by an index, outside the transaction, and deleted
//! by their keys.

use std::time::{Duration, Instant};

use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, TryGetableMany,
    Value,
    entity::ColumnTrait,
    sea_query::{Expr, LockBehavior, LockType},
};

use super::{gather::padded, handle::Store, transaction::DatabaseTransaction};
use crate::error::Result;

/// Lets PostgreSQL use indexes until the end of the transaction. With statistics of a time when a table was nearly empty,
/// it would read the whole table, in the belief that it has few rows.
const BY_INDEX: &str = "SET LOCAL enable_seqscan = off";

/// Result of deleting a chunk.
pub struct Cleared {
    /// True if there may be more.
    pub is_more: bool,
    /// Number of deleted rows.
    pub rows: u64,
    /// Duration of the transaction before its COMMIT, during which other writers waited.
    pub held: Duration,
}

impl Cleared {
    /// Result of a chunk without any rows.
    pub(in crate::store) const NONE: Self = Self {
        is_more: false,
        rows: 0,
        held: Duration::ZERO,
    };
}

/// Key that a query returns and a condition takes.
pub(in crate::store) trait Key:
    TryGetableMany + Into<Value> + Clone + Send + Sync + Unpin
{
}

impl<K: TryGetableMany + Into<Value> + Clone + Send + Sync + Unpin> Key for K {}

/// Returns the keys of the first rows in the order of an index.
pub(in crate::store) async fn first<E, T>(
    connection: &impl ConnectionTrait,
    key: E::Column,
    which: Expr,
    order: &[E::Column],
    limit: u64,
) -> Result<Vec<T>, DbErr>
where
    E: EntityTrait,
    T: TryGetableMany + Send + Sync + Unpin,
{
    let mut query = E::find().filter(which).limit(limit);
    for column in order {
        query = query.order_by_asc(*column);
    }
    query
        .select_only()
        .column(key)
        .into_tuple()
        .all(connection)
        .await
}

/// Deletes rows by their keys, and returns their number. The condition by which they were found is not repeated: SQLite
/// might search by it instead of by the keys. Rows that others have locked stay: waiting for them while holding other
/// rows could become a deadlock.
pub(in crate::store) async fn delete<E, K>(
    transaction: &DatabaseTransaction,
    key: E::Column,
    keys: Vec<K>,
) -> Result<u64, DbErr>
where
    E: EntityTrait,
    K: Key,
{
    let is_one_of = |keys| key.is_in(padded(keys));
    let keys: Vec<K> = match transaction.get_database_backend() {
        // Has one writer and no locks of rows.
        sea_orm::DbBackend::Sqlite => keys,
        _ => {
            transaction.execute_unprepared(BY_INDEX).await?;
            E::find()
                .filter(is_one_of(keys))
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .select_only()
                .column(key)
                .into_tuple()
                .all(transaction)
                .await?
        }
    };
    if keys.is_empty() {
        return Ok(0);
    }
    let deleted = E::delete_many()
        .filter(is_one_of(keys))
        .exec(transaction)
        .await?;
    Ok(deleted.rows_affected)
}

impl Store {
    /// Deletes a chunk of the rows that match, in the order of an index. What matches must do so for ever.
    pub(in crate::store) async fn clear<E, K>(
        &self,
        key: E::Column,
        which: Expr,
        order: &[E::Column],
        limit: u64,
    ) -> Result<Cleared>
    where
        E: EntityTrait,
        K: Key,
    {
        let keys: Vec<K> = self.search::<E, K>(key, which, order, limit).await?;
        self.clear_found::<E, K>(key, keys, limit).await
    }

    /// Returns the keys of the first rows in the order of an index.
    pub(in crate::store) async fn search<E, K>(
        &self,
        key: E::Column,
        which: Expr,
        order: &[E::Column],
        limit: u64,
    ) -> Result<Vec<K>>
    where
        E: EntityTrait,
        K: Key,
    {
        match self.begin_search().await? {
            Some(transaction) => {
                let found = first::<E, K>(&transaction, key, which, order, limit).await;
                Ok(transaction.finish(found).await?)
            }
            None => Ok(first::<E, K>(&self.inner.reader, key, which, order, limit).await?),
        }
    }

    /// Begins a transaction for a search in PostgreSQL that goes by indexes.
    pub(in crate::store) async fn begin_search(&self) -> Result<Option<DatabaseTransaction>> {
        if !self.is_shared() {
            return Ok(None);
        }
        let transaction = self.begin([]).await?;
        transaction.execute_unprepared(BY_INDEX).await?;
        Ok(Some(transaction))
    }

    /// Deletes these rows in one transaction.
    pub(in crate::store) async fn clear_found<E, K>(
        &self,
        key: E::Column,
        keys: Vec<K>,
        limit: u64,
    ) -> Result<Cleared>
    where
        E: EntityTrait,
        K: Key,
    {
        if keys.is_empty() {
            return Ok(Cleared::NONE);
        }
        let is_more = keys.len() as u64 >= limit;
        let transaction = self.begin([]).await?;
        let begun = Instant::now();
        let deleted = delete::<E, K>(&transaction, key, keys).await;
        let held = begun.elapsed();
        let rows = transaction.finish(deleted).await?;
        Ok(Cleared {
            is_more,
            rows,
            held,
        })
    }
}
