//! Rollups of data tables: which tables have them, how far they are, and the hours that are written.
//!
//! Hours up to the mark of a table are the sums of their rows, unless the triggers of `rollup_marks` have marked them.
//! What is written beyond the mark is not read, and is deleted before the hours are written again. So a hub that is
//! killed leaves nothing wrong. Each transaction locks the mark and compares it, so that two hubs never write the same
//! hours.

mod marks;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement,
    sea_query::{Expr, ExprTrait, LockType, OnConflict},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    core::{
        bulk, clearing::Cleared, failure, handle::Store, listing::Span, removed,
        transaction::DatabaseTransaction,
    },
    data::{
        number::NumberPath,
        numbers::{BaseBucket, Edge},
        rollups::{self, floor_hour},
    },
    entities::{data_table, data_table_rollup, data_table_row, rollup_column, rollup_hour},
};
use crate::{
    clock::Time,
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

/// Sums of a column and a device in an hour, to be written.
#[derive(Debug, Clone)]
pub struct Hour(rollup_hour::ActiveModel);

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
                    columns: known.into_iter().filter_map(RolledColumn::of).collect(),
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

    /// Returns the start of the hour of the first row from this time on.
    pub async fn first_hour(
        &self,
        table: &RolledTable,
        from_s: Option<i64>,
    ) -> Result<Option<i64>> {
        let hour = self.row_hour(table, from_s, 0).await?;
        Ok(hour)
    }

    /// Returns the end of the hours from this one on that have about so many rows, and at least one hour.
    pub async fn chunk_end(
        &self,
        table: &RolledTable,
        from_s: i64,
        rows: u64,
    ) -> Result<Option<i64>> {
        let hour = self.row_hour(table, Some(from_s), rows).await?;
        Ok(hour.map(|hour| Ord::max(hour, from_s + rollups::HOUR_S)))
    }

    async fn row_hour(
        &self,
        table: &RolledTable,
        from_s: Option<i64>,
        skipped: u64,
    ) -> Result<Option<i64>> {
        use data_table_row::{Column, Entity};
        let span = Span {
            from: from_s.and_then(|from_s| Time::from_timestamp(from_s, 0)),
            to: None,
        };
        let found: Option<Time> = Entity::find()
            .filter(Column::DataTableId.eq(table.id.0))
            .filter(span.of(Column::Ts))
            .order_by_asc(Column::Ts)
            .order_by_asc(Column::Id)
            .offset(skipped)
            .limit(1)
            .select_only()
            .column(Column::Ts)
            .into_tuple()
            .one(&self.inner.reader)
            .await?;
        Ok(found.map(|time| floor_hour(time.timestamp())))
    }

    /// Returns the sums of a column in these hours.
    pub async fn sum_hours(
        &self,
        table: &RolledTable,
        column: &RolledColumn,
        from_s: i64,
        to_s: i64,
    ) -> Result<Vec<Hour>> {
        let span = Span {
            from: Time::from_timestamp(from_s, 0),
            to: Time::from_timestamp(to_s, 0),
        };
        let scope = self.scope(table.tenant);
        let sums = rollups::hourly(&scope, table.id, span, column.path.as_ref()).await?;
        hours(table, column, sums)
    }

    /// Deletes the hours that an interrupted attempt has written beyond the end.
    pub async fn clear_unfinished(&self, table: &RolledTable, until_s: i64) -> Result<()> {
        use rollup_hour::{Column, Entity};
        let ids = table.columns.iter().map(|column| column.id);
        let beyond = Column::ColumnId.is_in(ids).and(Column::HourS.gte(until_s));
        let found = Entity::find()
            .filter(beyond.clone())
            .one(&self.inner.reader)
            .await?;
        if found.is_some() {
            let deletion = Entity::delete_many().filter(beyond);
            deletion.exec(&self.inner.writer).await?;
        }
        Ok(())
    }

    /// Writes hours beyond the end at `until_s`, and moves it to `to_s` if these are the last ones. Returns the duration
    /// of the transaction before its COMMIT; `None` if another hub has moved the end.
    pub async fn write_hours(
        &self,
        table: &RolledTable,
        until_s: i64,
        hours: Vec<Hour>,
        to_s: Option<i64>,
    ) -> Result<Option<Duration>> {
        let transaction = self.begin([]).await?;
        let begun = Instant::now();
        let written = write(&transaction, table, until_s, hours, to_s).await;
        let held = begun.elapsed();
        let is_written = transaction.finish(written).await?;
        Ok(is_written.then_some(held))
    }

    /// Deletes a chunk of the hours of dropped columns.
    pub async fn clear_dropped_rollups(&self, limit: u64) -> Result<Cleared> {
        use rollup_column::{Column, Entity};
        let dropped = Entity::find()
            .filter(Column::IsDropped.eq(true))
            .order_by_asc(Column::Id)
            .one(&self.inner.reader)
            .await?;
        let Some(column) = dropped.map(|column| column.id) else {
            return Ok(Cleared::NONE);
        };
        let transaction = self.begin([]).await?;
        let begun = Instant::now();
        let cleared = async {
            let rows = clear_hours(&transaction, column, limit).await?;
            if rows == 0 {
                Entity::delete_by_id(column).exec(&transaction).await?;
            }
            Ok::<_, DbErr>(rows)
        };
        let cleared = cleared.await;
        let held = begun.elapsed();
        Ok(Cleared {
            is_more: true,
            rows: transaction.finish(cleared).await?,
            held,
        })
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
    fn of((path, id): (String, i64)) -> Option<Self> {
        let path = match path.as_str() {
            "" => None,
            path => Some(NumberPath::new(path).ok()?),
        };
        Some(Self { id, path })
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
        .filter(|path| !path.is_empty() && NumberPath::new(path).is_ok())
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

/// Deletes the first hours of a column, about `limit` rows: an hour goes as a whole. Returns the number of rows.
pub(in crate::store) async fn clear_hours(
    transaction: &DatabaseTransaction,
    column: i64,
    limit: u64,
) -> Result<u64, DbErr> {
    use rollup_hour::{Column, Entity};
    let last: Option<i64> = Entity::find()
        .filter(Column::ColumnId.eq(column))
        .order_by_asc(Column::HourS)
        .order_by_asc(Column::DeviceId)
        .offset(limit.saturating_sub(1))
        .limit(1)
        .select_only()
        .column(Column::HourS)
        .into_tuple()
        .one(transaction)
        .await?;
    let mut deletion = Entity::delete_many().filter(Column::ColumnId.eq(column));
    if let Some(last) = last {
        deletion = deletion.filter(Column::HourS.lte(last));
    }
    Ok(deletion.exec(transaction).await?.rows_affected)
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

async fn write(
    transaction: &DatabaseTransaction,
    table: &RolledTable,
    until_s: i64,
    hours: Vec<Hour>,
    to_s: Option<i64>,
) -> Result<bool, DbErr> {
    use data_table_rollup::{Column, Entity};
    if !is_at(transaction, table, until_s).await? {
        return Ok(false);
    }
    insert(transaction, hours).await?;
    if let Some(to_s) = to_s {
        Entity::update_many()
            .col_expr(Column::UntilS, Expr::value(to_s))
            .filter(Column::DataTableId.eq(table.id.0))
            .exec(transaction)
            .await?;
    }
    Ok(true)
}

async fn insert(transaction: &DatabaseTransaction, hours: Vec<Hour>) -> Result<(), DbErr> {
    let rows = hours.into_iter().map(|hour| hour.0).collect();
    bulk::insert::<rollup_hour::Entity, _>(transaction, rows, None).await
}

/// Makes the rows of sums by device and hour.
fn hours(table: &RolledTable, column: &RolledColumn, sums: Vec<BaseBucket>) -> Result<Vec<Hour>> {
    let rows = sums.into_iter().map(|base| {
        let sums = base.sums;
        let lacks = || Error::internal("sums of an hour lack a value");
        let edge = |edge: Option<Edge>| -> Result<(f64, i64, Uuid)> {
            let Edge { value, time, key } = edge.ok_or_else(lacks)?;
            let key = Uuid::parse_str(&key).map_err(Error::internal)?;
            Ok((value, time.timestamp_micros(), key))
        };
        let (first_number, first_us, first_id) = edge(sums.first)?;
        let (last_number, last_us, last_id) = edge(sums.last)?;
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Hour(rollup_hour::ActiveModel {
            tenant_id: Set(table.tenant.0),
            column_id: Set(column.id),
            hour_s: Set(base.start_s),
            device_id: Set(base.device.ok_or_else(lacks)?),
            numbers: Set(count(sums.count)),
            huge: Set(count(sums.huge)),
            total: Set(sums.sum),
            mean: Set(sums.mean),
            squares: Set(sums.squares),
            low: Set(sums.min.ok_or_else(lacks)?),
            high: Set(sums.max.ok_or_else(lacks)?),
            first_number: Set(first_number),
            first_us: Set(first_us),
            first_id: Set(first_id),
            last_number: Set(last_number),
            last_us: Set(last_us),
            last_id: Set(last_id),
        }))
    });
    rows.collect()
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
