//! Hours whose rows have changed since they were rolled up: they are rolled up again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};

use super::{
    RolledTable,
    hours::{Hour, hours, insert},
    is_at, totals,
};
use crate::{
    error::Result,
    store::{
        core::{
            clearing::Cleared, gather::padded, handle::Store, transaction::DatabaseTransaction,
        },
        data::{
            rollups::ALL_DEVICES,
            row_hours::{self, HOURLY},
        },
        entities::{data_table_rollup, rollup_hour, rollup_mark},
    },
};

/// Maximum number of hours that one statement deletes.
const DELETED_AT_ONCE: usize = 1000;

/// Mark of an hour whose rows have changed.
#[derive(Debug, Clone)]
pub struct Mark {
    id: i64,
    device: String,
    hour_s: i64,
}

impl Store {
    /// Returns the data tables that have marks.
    pub async fn marked_tables(&self) -> Result<BTreeSet<i64>> {
        use data_table_rollup::{Column, Entity};
        let table = (rollup_mark::Entity, rollup_mark::Column::DataTableId);
        let marks = Query::select()
            .column(rollup_mark::Column::Id)
            .from(rollup_mark::Entity)
            .and_where(Expr::col(table).equals((Entity, Column::DataTableId)))
            .to_owned();
        let found: Vec<i64> = Entity::find()
            .filter(Expr::exists(marks))
            .select_only()
            .column(Column::DataTableId)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        Ok(found.into_iter().collect())
    }

    /// Returns the first marks of devices in a data table, at most `limit`.
    pub async fn rollup_marks(&self, table: &RolledTable, limit: u64) -> Result<Vec<Mark>> {
        use rollup_mark::{Column, Entity};
        let found: Vec<(i64, String, i64)> = Entity::find()
            .filter(Column::DataTableId.eq(table.id.0))
            .filter(Column::DeviceId.ne(ALL_DEVICES))
            .order_by_asc(Column::HourS)
            .limit(limit)
            .select_only()
            .columns([Column::Id, Column::DeviceId, Column::HourS])
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let marks = found
            .into_iter()
            .map(|(id, device, hour_s)| Mark { id, device, hour_s });
        Ok(marks.collect())
    }

    /// Rolls marked hours up again, as far as they are before the end at `until_s`, and deletes the marks. Rows that
    /// change meanwhile leave marks of their own. The sums of all devices in these hours are then out of date. Returns
    /// the number of hours and the duration of the transaction before its COMMIT; `None` if another hub has moved the
    /// end.
    pub async fn roll_up_again(
        &self,
        table: &RolledTable,
        until_s: i64,
        marks: Vec<Mark>,
    ) -> Result<Option<(u64, Duration)>> {
        let ids: Vec<i64> = marks.iter().map(|mark| mark.id).collect();
        let marked: BTreeSet<(String, i64)> = marks
            .into_iter()
            .filter(|mark| mark.hour_s < until_s)
            .map(|mark| (mark.device, mark.hour_s))
            .collect();
        let changed = row_hours::merged(marked.iter().cloned().collect());
        let (scope, matching) = (self.scope(table.tenant), row_hours::all_of(table.id));
        let mut rows = Vec::new();
        for column in &table.columns {
            let path = column.path.as_ref();
            let sums = row_hours::changed_sums(&scope, &matching, &changed, path, HOURLY).await?;
            rows.extend(hours(table, column, sums)?);
        }
        let transaction = self.begin([]).await?;
        let begun = Instant::now();
        let replaced = replace(&transaction, table, until_s, &marked, rows, ids).await;
        let held = begun.elapsed();
        let is_replaced = transaction.finish(replaced).await?;
        Ok(is_replaced.then_some((marked.len() as u64, held)))
    }

    /// Deletes a chunk of the marks of data tables that have no rollups any more.
    pub async fn clear_marks(&self, limit: u64) -> Result<Cleared> {
        use rollup_mark::{Column, Entity};
        let tables = Query::select()
            .column(data_table_rollup::Column::DataTableId)
            .from(data_table_rollup::Entity)
            .to_owned();
        let which = Column::DataTableId.not_in_subquery(tables);
        self.clear::<Entity, i64>(Column::Id, which, &[Column::Id], limit)
            .await
    }
}

async fn replace(
    transaction: &DatabaseTransaction,
    table: &RolledTable,
    until_s: i64,
    marked: &BTreeSet<(String, i64)>,
    rows: Vec<Hour>,
    ids: Vec<i64>,
) -> Result<bool, DbErr> {
    use rollup_hour::{Column, Entity};
    if !is_at(transaction, table, until_s).await? {
        return Ok(false);
    }
    let columns: Vec<i64> = table.columns.iter().map(|column| column.id).collect();
    let mut by_device: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut by_hour: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for (device, hour_s) in marked {
        by_device.entry(device).or_default().push(*hour_s);
        by_hour.entry(*hour_s).or_default().push(device);
    }
    let hours = by_hour.keys().copied().collect();
    let deletion = || Entity::delete_many().filter(Column::ColumnId.is_in(columns.clone()));
    if by_device.len() <= by_hour.len() {
        for (device, hours) in by_device {
            for hours in hours.chunks(DELETED_AT_ONCE) {
                let deletion = deletion().filter(Column::DeviceId.eq(device));
                let deletion = deletion.filter(Column::HourS.is_in(padded(hours.to_vec())));
                deletion.exec(transaction).await?;
            }
        }
    } else {
        for (hour_s, devices) in by_hour {
            for devices in devices.chunks(DELETED_AT_ONCE) {
                let deletion = deletion().filter(Column::HourS.eq(hour_s));
                let deletion = deletion.filter(Column::DeviceId.is_in(padded(devices.to_vec())));
                deletion.exec(transaction).await?;
            }
        }
    }
    insert(transaction, rows).await?;
    totals::note_outdated(transaction, table, hours).await?;
    rollup_mark::Entity::delete_many()
        .filter(rollup_mark::Column::Id.is_in(padded(ids)))
        .exec(transaction)
        .await?;
    Ok(true)
}
