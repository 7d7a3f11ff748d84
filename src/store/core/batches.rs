//! Rows of imports that wait in batches, each batch as one text.
//!
//! The transaction that imports a batch also deletes it: whatever stops the hub, a batch is imported once or not yet.

use std::mem;

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Serialize, de::DeserializeOwned};

use super::{bulk, rows::Owned, scope::Scope, transaction::DatabaseTransaction};
use crate::error::{Error, Result};

/// Number of batches stored in one transaction, each with a few dozen rows.
const AT_ONCE: usize = 20;

/// Table of the waiting batches of imports.
pub(in crate::store) trait BatchTable: Owned<Model: Sync> {
    /// Row to write.
    type Active: ActiveModelTrait<Entity = Self> + Send;
    /// Column with the import.
    const IMPORT: Self::Column;
    /// Column with the number of the first row.
    const FIRST_ROW: Self::Column;

    /// Makes a row.
    fn waiting(scope: &Scope, import: i64, batch: (i64, String)) -> Self::Active;

    /// Returns the number of the first row, and the rows.
    fn content(model: Self::Model) -> (i64, String);
}

/// Implements the trait of a table of batches.
macro_rules! batch_table {
    ($entity:ident) => {
        impl $crate::store::core::batches::BatchTable for $entity::Entity {
            type Active = $entity::ActiveModel;

            const IMPORT: $entity::Column = $entity::Column::ImportId;
            const FIRST_ROW: $entity::Column = $entity::Column::FirstRow;

            fn waiting(
                scope: &$crate::store::core::scope::Scope,
                import: i64,
                (first_row, rows): (i64, String),
            ) -> $entity::ActiveModel {
                $entity::ActiveModel {
                    tenant_id: sea_orm::ActiveValue::Set(scope.tenant().0),
                    import_id: sea_orm::ActiveValue::Set(import),
                    first_row: sea_orm::ActiveValue::Set(first_row),
                    rows: sea_orm::ActiveValue::Set(rows),
                }
            }

            fn content(model: $entity::Model) -> (i64, String) {
                (model.first_row, model.rows)
            }
        }
    };
}

pub(in crate::store) use batch_table;

/// Rows that wait, from one or more batches.
pub(in crate::store) struct Waiting<R> {
    /// Number of the first row of each batch.
    pub first_rows: Vec<i64>,
    /// The rows.
    pub rows: Vec<R>,
}

/// Serializes rows to their stored form.
pub fn rows_to_text(rows: &[impl Serialize]) -> Result<String> {
    serde_json::to_string(rows).map_err(Error::internal)
}

/// Stores the batches of an import, in several transactions.
pub(in crate::store) async fn store<E: BatchTable>(
    scope: &Scope,
    import: i64,
    batches: Vec<(i64, String)>,
) -> Result<()> {
    let mut some = Vec::new();
    for batch in batches {
        some.push(E::waiting(scope, import, batch));
        if some.len() == AT_ONCE {
            store_some(scope, mem::take(&mut some)).await?;
        }
    }
    store_some(scope, some).await
}

async fn store_some<E, A>(scope: &Scope, batches: Vec<A>) -> Result<()>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    let transaction = scope.store.begin([]).await?;
    let written = bulk::insert(&transaction, batches, None).await;
    Ok(transaction.finish(written).await?)
}

/// Returns the first rows of an import that wait, from at most `limit` batches; `None` if nothing is left.
pub(in crate::store) async fn first<E: BatchTable, R: DeserializeOwned>(
    scope: &Scope,
    import: i64,
    limit: u64,
) -> Result<Option<Waiting<R>>> {
    let found = scope
        .find::<E>()
        .filter(E::IMPORT.eq(import))
        .order_by_asc(E::FIRST_ROW)
        .limit(limit)
        .all(scope.reader())
        .await?;
    if found.is_empty() {
        return Ok(None);
    }
    let mut waiting = Waiting {
        first_rows: Vec::new(),
        rows: Vec::new(),
    };
    for (first_row, rows) in found.into_iter().map(E::content) {
        let mut rows: Vec<R> = serde_json::from_str(&rows).map_err(Error::internal)?;
        waiting.first_rows.push(first_row);
        waiting.rows.append(&mut rows);
    }
    Ok(Some(waiting))
}

/// Deletes batches whose rows are imported in this transaction. Returns false if another hub has imported them
/// meanwhile; fails if it has imported only some, so that the rest are read again.
pub(in crate::store) async fn take<E: BatchTable>(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    import: i64,
    first_rows: &[i64],
) -> Result<bool> {
    let taken = scope
        .delete::<E>()
        .filter(E::IMPORT.eq(import))
        .filter(E::FIRST_ROW.is_in(first_rows.iter().copied()))
        .exec(transaction)
        .await?;
    match taken.rows_affected {
        0 => Ok(false),
        taken if taken == first_rows.len() as u64 => Ok(true),
        _ => Err(Error::overloaded("another hub is working on this import")),
    }
}

/// Returns true if batches of an import wait.
pub(in crate::store) async fn is_more<E: BatchTable>(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    import: i64,
) -> Result<bool> {
    let left = scope
        .find::<E>()
        .filter(E::IMPORT.eq(import))
        .select_only()
        .column(E::FIRST_ROW)
        .into_tuple::<i64>()
        .one(transaction)
        .await?;
    Ok(left.is_some())
}
