//! Hours of data tables: found, summed, written, and deleted with their columns. Those of devices and the sums of all
//! devices together are written before the end moves over them, so that a reader sees both or neither.

use std::time::{Duration, Instant};

use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use super::{
    RolledColumn, RolledTable, is_at,
    stored::{Stored, lacks, row_of_sums},
    totals::{self, Total, totals},
};
use crate::{
    clock::Time,
    error::Result,
    store::{
        core::{
            bulk, clearing::Cleared, handle::Store, listing::Span, transaction::DatabaseTransaction,
        },
        data::{
            numbers::BaseBucket,
            rollups::floor_hour,
            row_hours::{self, HOUR_S},
        },
        entities::{data_table_rollup, data_table_row, rollup_column, rollup_hour, rollup_total},
    },
};

/// Sums of a column and a device in an hour, to be written.
#[derive(Debug, Clone)]
pub struct Hour(rollup_hour::ActiveModel);

/// Sums to be written.
#[derive(Debug, Default)]
pub struct Batch {
    /// Sums of devices.
    pub hours: Vec<Hour>,
    totals: Vec<Total>,
}

impl Batch {
    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        (self.hours.len() + self.totals.len()) as u64
    }

    /// Takes at most so many rows; sums of all devices after those of each.
    pub fn take(&mut self, rows: u64) -> Self {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let hours = first(&mut self.hours, rows);
        let totals = first(&mut self.totals, rows - hours.len());
        Self { hours, totals }
    }
}

fn first<T>(all: &mut Vec<T>, count: usize) -> Vec<T> {
    let rest = all.split_off(count.min(all.len()));
    std::mem::replace(all, rest)
}

impl Store {
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
        Ok(hour.map(|hour| Ord::max(hour, from_s + HOUR_S)))
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

    /// Adds the sums of a column in these hours.
    pub async fn sum_hours(
        &self,
        table: &RolledTable,
        column: &RolledColumn,
        (from_s, to_s): (i64, i64),
        batch: &mut Batch,
    ) -> Result<()> {
        let span = Span {
            from: Time::from_timestamp(from_s, 0),
            to: Time::from_timestamp(to_s, 0),
        };
        let scope = self.scope(table.tenant);
        let sums = row_hours::hourly(&scope, table.id, span, column.path.as_ref()).await?;
        batch.totals.extend(totals(table, column, &sums)?);
        batch.hours.extend(hours(table, column, sums)?);
        Ok(())
    }

    /// Deletes the hours that an interrupted attempt has written beyond the end. Does nothing if another hub has moved
    /// the end.
    pub async fn clear_unfinished(&self, table: &RolledTable, until_s: i64) -> Result<()> {
        let ids = || table.columns.iter().map(|column| column.id);
        let (hours, totals) = (
            rollup_hour::Column::ColumnId
                .is_in(ids())
                .and(rollup_hour::Column::HourS.gte(until_s)),
            rollup_total::Column::ColumnId
                .is_in(ids())
                .and(rollup_total::Column::HourS.gte(until_s)),
        );
        let reader = &self.inner.reader;
        let hour = rollup_hour::Entity::find().filter(hours.clone());
        let total = rollup_total::Entity::find().filter(totals.clone());
        if hour.one(reader).await?.is_none() && total.one(reader).await?.is_none() {
            return Ok(());
        }
        let transaction = self.begin([]).await?;
        let cleared = async {
            if is_at(&transaction, table, until_s).await? {
                let deletion = rollup_hour::Entity::delete_many().filter(hours);
                deletion.exec(&transaction).await?;
                let deletion = rollup_total::Entity::delete_many().filter(totals);
                deletion.exec(&transaction).await?;
            }
            Ok::<_, DbErr>(())
        };
        let cleared = cleared.await;
        Ok(transaction.finish(cleared).await?)
    }

    /// Writes hours beyond the end at `until_s`, and moves it to `to_s` if these are the last ones. Returns the duration
    /// of the transaction before its COMMIT; `None` if another hub has moved the end.
    pub async fn write_hours(
        &self,
        table: &RolledTable,
        until_s: i64,
        batch: Batch,
        to_s: Option<i64>,
    ) -> Result<Option<Duration>> {
        let transaction = self.begin([]).await?;
        let begun = Instant::now();
        let written = write(&transaction, table, until_s, batch, to_s).await;
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
}

/// Deletes the first hours of a column, about `limit` rows of devices: an hour goes as a whole. Returns the number of
/// rows.
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
    let mut hours = Entity::delete_many().filter(Column::ColumnId.eq(column));
    let mut totals =
        rollup_total::Entity::delete_many().filter(rollup_total::Column::ColumnId.eq(column));
    if let Some(last) = last {
        hours = hours.filter(Column::HourS.lte(last));
        totals = totals.filter(rollup_total::Column::HourS.lte(last));
    }
    let (hours, totals) = (
        hours.exec(transaction).await?,
        totals.exec(transaction).await?,
    );
    Ok(hours.rows_affected + totals.rows_affected)
}

async fn write(
    transaction: &DatabaseTransaction,
    table: &RolledTable,
    until_s: i64,
    batch: Batch,
    to_s: Option<i64>,
) -> Result<bool, DbErr> {
    use data_table_rollup::{Column, Entity};
    if !is_at(transaction, table, until_s).await? {
        return Ok(false);
    }
    insert(transaction, batch.hours).await?;
    totals::insert(transaction, batch.totals).await?;
    if let Some(to_s) = to_s {
        Entity::update_many()
            .col_expr(Column::UntilS, Expr::value(to_s))
            .filter(Column::DataTableId.eq(table.id.0))
            .exec(transaction)
            .await?;
    }
    Ok(true)
}

pub(super) async fn insert(
    transaction: &DatabaseTransaction,
    hours: Vec<Hour>,
) -> Result<(), DbErr> {
    let rows = hours.into_iter().map(|hour| hour.0).collect();
    bulk::insert::<rollup_hour::Entity, _>(transaction, rows, None).await
}

/// Makes the rows of sums by device and hour.
pub(super) fn hours(
    table: &RolledTable,
    column: &RolledColumn,
    sums: Vec<BaseBucket>,
) -> Result<Vec<Hour>> {
    let rows = sums.into_iter().map(|base| {
        let device = base.device.ok_or_else(lacks)?;
        let sums = Stored::of(base.sums)?;
        let row = row_of_sums!(
            rollup_hour {
                tenant_id: table.tenant.0,
                column_id: column.id,
                hour_s: base.start_s,
                device_id: device,
            },
            sums
        );
        Ok(Hour(row))
    });
    rows.collect()
}
