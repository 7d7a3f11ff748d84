//! Rollups of data tables: which tables have them, how far they are, and the hours that are written.
//!
//! Hours up to the mark of a table are the sums of their rows, unless the triggers of `rollup_marks` have marked them.
//! What is written beyond the mark is not read, and is deleted before the hours are written again. So a hub that is
//! killed leaves nothing wrong. Each transaction locks the mark and compares it, so that two hubs never write the same
//! hours.

pub mod hours;
mod marks;
mod stored;
pub mod totals;

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement,
    sea_query::{Expr, LockType, OnConflict},
};
use serde_json::Value;

use super::{
    core::{failure, handle::Store, removed, transaction::DatabaseTransaction},
    data::number::NumberPath,
    entities::{data_table, data_table_rollup, rollup_column},
};
use crate::{
    error::{Error, Result},
    id::{DataTableId, TenantId},
};

/// Data table with rollups.
#[derive(Debug, Clone)]
pub struct RolledTable {
    /// Identifier of the data table.
    pub id: DataTableId,
    tenant: TenantId,
    /// End of the hours that are rolled up, in seconds since 1970; `None` if none are yet.
    pub until_s: Option<i64>,
    /// The columns; the first one counts the rows themselves.
    pub columns: Vec<RolledColumn>,
}

/// Column with rollups.
#[derive(Debug, Clone)]
pub struct RolledColumn {
    id: i64,
    /// `None` for the rows themselves.
    path: Option<NumberPath>,
}

/// Columns of a table by path.
type Columns = BTreeMap<String, i64>;

impl Store {
    /// Returns the data tables with rollups. Begins those of tables that are new or have other columns now.
    pub async fn renew_rollups(&self) -> Result<Vec<RolledTable>> {
        let ends = self.rollup_ends().await?;
        let mut columns = self.rollup_columns().await?;
        let tables: Vec<(i64, i64, Option<Value>)> = data_table::Entity::find()
            .filter(removed::is_live(data_table::Column::TenantId.into_expr()))
            .order_by_asc(data_table::Column::Id)
            .select_only()
            .column(data_table::Column::Id)
            .column(data_table::Column::TenantId)
            .column(data_table::Column::Columns)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let mut rolled = Vec::new();
        for (id, tenant, definition) in tables {
            let wanted = wanted(definition.as_ref());
            let known = columns.remove(&id).unwrap_or_default();
            let end = ends.get(&id);
            let is_same = known.keys().eq(&wanted) && end.is_some() != wanted.is_empty();
            if !is_same {
                self.begin_rollups(id, tenant, &wanted).await?;
            } else if let Some(until_s) = end {
                rolled.push(RolledTable {
                    id: DataTableId(id),
                    tenant: TenantId(tenant),
                    until_s: *until_s,
                    columns: known.into_iter().map(RolledColumn::of).collect(),
                });
            }
        }
        Ok(rolled)
    }

    async fn rollup_ends(&self) -> Result<BTreeMap<i64, Option<i64>>> {
        use data_table_rollup::{Column, Entity};
        let found: Vec<(i64, Option<i64>)> = Entity::find()
            .select_only()
            .columns([Column::DataTableId, Column::UntilS])
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        Ok(found.into_iter().collect())
    }

    async fn rollup_columns(&self) -> Result<BTreeMap<i64, Columns>> {
        use rollup_column::{Column, Entity};
        let found: Vec<(i64, String, i64)> = Entity::find()
            .filter(Column::IsDropped.eq(false))
            .select_only()
            .columns([Column::DataTableId, Column::Path, Column::Id])
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let mut columns: BTreeMap<i64, Columns> = BTreeMap::new();
        for (table, path, id) in found {
            columns.entry(table).or_default().insert(path, id);
        }
        Ok(columns)
    }

    /// Drops the rollups of a table and begins new ones of these columns.
    async fn begin_rollups(
        &self,
        table: i64,
        tenant: i64,
        wanted: &BTreeSet<String>,
    ) -> Result<()> {
        let transaction = self.begin([]).await?;
        let begun = begin(&transaction, table, tenant, wanted).await;
        match transaction.finish(begun).await {
            // The data table was deleted meanwhile.
            Err(error) if failure::is_dangling(&error) => Ok(()),
            done => Ok(done?),
        }
    }

    /// Returns a number below those of all transactions that are not over, and one above those of all that have begun.
    /// SQLite has one at a time.
    pub async fn transaction_bounds(&self) -> Result<(i64, i64)> {
        if !self.is_shared() {
            return Ok((0, 0));
        }
        let query = "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint \
                     FROM pg_current_snapshot() AS s";
        let query = Statement::from_string(DbBackend::Postgres, query);
        let row = self.inner.reader.query_one_raw(query).await?;
        let row = row.ok_or_else(|| Error::internal("the database has no snapshot"))?;
        Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))
    }

    /// Moves the end of the hours that are rolled up. Returns false if another hub has moved it.
    pub async fn move_rollups(&self, table: &RolledTable, to_s: i64) -> Result<bool> {
        use data_table_rollup::{Column, Entity};
        let is_there = match table.until_s {
            Some(until_s) => Column::UntilS.eq(until_s),
            None => Column::UntilS.is_null(),
        };
        let moved = Entity::update_many()
            .col_expr(Column::UntilS, Expr::value(to_s))
            .filter(Column::DataTableId.eq(table.id.0))
            .filter(is_there)
            .exec(&self.inner.writer)
            .await?;
        Ok(moved.rows_affected > 0)
    }

    /// Drops all rollups. Their rows are then deleted as those of dropped columns and tables are.
    pub async fn drop_rollups(&self) -> Result<()> {
        if self.rollup_ends().await?.is_empty() {
            return Ok(());
        }
        let transaction = self.begin([]).await?;
        let dropped = async {
            data_table_rollup::Entity::delete_many()
                .exec(&transaction)
                .await?;
            rollup_column::Entity::update_many()
                .col_expr(rollup_column::Column::IsDropped, Expr::value(true))
                .exec(&transaction)
                .await?;
            Ok::<_, DbErr>(())
        };
        let dropped = dropped.await;
        Ok(transaction.finish(dropped).await?)
    }
}

impl RolledColumn {
    fn of((path, id): (String, i64)) -> Self {
        let path = match path.as_str() {
            "" => None,
            path => Some(NumberPath::of_column(path)),
        };
        Self { id, path }
    }
}

/// Returns the paths that a data table with these columns has rollups of: those of numbers, and the empty one of the
/// rows. Empty if there are no such columns.
fn wanted(columns: Option<&Value>) -> BTreeSet<String> {
    let columns = columns.and_then(Value::as_array).into_iter().flatten();
    let is_number = |column: &&Value| column["type"] == "number";
    let paths = columns
        .filter(is_number)
        .filter_map(|column| column["path"].as_str());
    let mut paths: BTreeSet<String> = paths
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    if !paths.is_empty() {
        paths.insert(String::new());
    }
    paths
}

async fn begin(
    transaction: &DatabaseTransaction,
    table: i64,
    tenant: i64,
    wanted: &BTreeSet<String>,
) -> Result<(), DbErr> {
    if wanted.is_empty() {
        forget(transaction, table).await?;
    } else {
        use data_table_rollup::{ActiveModel, Column, Entity};
        let begun = ActiveModel {
            tenant_id: Set(tenant),
            data_table_id: Set(table),
            until_s: Set(None),
        };
        let again = OnConflict::column(Column::DataTableId)
            .update_column(Column::UntilS)
            .to_owned();
        Entity::insert(begun)
            .on_conflict(again)
            .exec_without_returning(transaction)
            .await?;
    }
    use rollup_column::{ActiveModel, Column, Entity};
    Entity::update_many()
        .col_expr(Column::IsDropped, Expr::value(true))
        .filter(Column::DataTableId.eq(table))
        .exec(transaction)
        .await?;
    let columns = wanted.iter().map(|path| ActiveModel {
        tenant_id: Set(tenant),
        data_table_id: Set(table),
        path: Set(path.clone()),
        is_dropped: Set(false),
        ..Default::default()
    });
    let columns: Vec<ActiveModel> = columns.collect();
    if !columns.is_empty() {
        Entity::insert_many(columns)
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}

/// Ends the rollups of a data table: rows leave no marks any more, and no hour is written.
pub(in crate::store) async fn forget(
    transaction: &DatabaseTransaction,
    table: i64,
) -> Result<(), DbErr> {
    data_table_rollup::Entity::delete_by_id(table)
        .exec(transaction)
        .await?;
    Ok(())
}

/// Returns the columns of a data table, also dropped ones.
pub(in crate::store) async fn columns_of(
    transaction: &DatabaseTransaction,
    table: i64,
) -> Result<Vec<i64>, DbErr> {
    use rollup_column::{Column, Entity};
    Entity::find()
        .filter(Column::DataTableId.eq(table))
        .order_by_asc(Column::Id)
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(transaction)
        .await
}

/// Locks the end of a table's rollups. Returns false if it is another one by now.
async fn is_at(
    transaction: &DatabaseTransaction,
    table: &RolledTable,
    until_s: i64,
) -> Result<bool, DbErr> {
    let found = data_table_rollup::Entity::find_by_id(table.id.0)
        .lock(LockType::Update)
        .one(transaction)
        .await?;
    Ok(found.is_some_and(|found| found.until_s == Some(until_s)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_of_numbers_are_rolled_up_with_the_rows() {
        let paths = |columns: Value| wanted(Some(&columns)).into_iter().collect::<Vec<_>>();
        let columns = json!([{"path": "t", "type": "number"}, {"path": "s", "type": "text"}]);
        assert_eq!(paths(columns), ["", "t"]);
        assert!(paths(json!([{"path": "s", "type": "text"}])).is_empty());
        assert!(wanted(None).is_empty());
    }
}
