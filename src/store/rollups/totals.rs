//! Sums of all devices in an hour. They are made with the hours of devices. When hours of devices are rolled up again,
//! their sum is out of date until it is made again: a mark without a device says so, and readers add up the devices.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::{
    RolledColumn, RolledTable, is_at,
    stored::{Stored, row_of_sums},
};
use crate::{
    error::Result,
    store::{
        core::{bulk, gather::padded, handle::Store, transaction::DatabaseTransaction},
        data::{hour_sums, numbers::BaseBucket, rollups::ALL_DEVICES, sums::Sums},
        entities::{rollup_mark, rollup_total},
    },
};

/// Sums of a column and all devices in an hour, to be written.
#[derive(Debug, Clone)]
pub(super) struct Total(rollup_total::ActiveModel);

/// Hours whose sums of all devices are out of date.
#[derive(Debug, Clone)]
pub struct Outdated {
    marks: Vec<i64>,
    hours: Vec<i64>,
}

/// Sums of all devices in hours whose sums were out of date.
#[derive(Debug, Default)]
pub struct Renewed(Vec<Total>);

impl Outdated {
    /// True if there are no such hours.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }
}

impl Store {
    /// Returns the first hours of a data table whose sums of all devices are out of date, at most `limit`.
    pub async fn outdated_totals(&self, table: &RolledTable, limit: u64) -> Result<Outdated> {
        use rollup_mark::{Column, Entity};
        let found: Vec<(i64, i64)> = Entity::find()
            .filter(Column::DataTableId.eq(table.id.0))
            .filter(Column::DeviceId.eq(ALL_DEVICES))
            .order_by_asc(Column::HourS)
            .limit(limit)
            .select_only()
            .columns([Column::Id, Column::HourS])
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let (marks, hours): (Vec<i64>, BTreeSet<i64>) = found.into_iter().unzip();
        Ok(Outdated {
            marks,
            hours: hours.into_iter().collect(),
        })
    }

    /// Adds up the devices of a column in these hours, as far as they are before the end at `until_s`.
    pub async fn sum_devices(
        &self,
        table: &RolledTable,
        column: &RolledColumn,
        until_s: i64,
        outdated: &Outdated,
        renewed: &mut Renewed,
    ) -> Result<()> {
        let hours = outdated.hours.iter().copied();
        let hours: Vec<i64> = hours.filter(|hour_s| *hour_s < until_s).collect();
        let scope = self.scope(table.tenant);
        let sums = hour_sums::of_all_devices(&scope, column.id, &hours).await?;
        renewed.0.extend(totals(table, column, &sums)?);
        Ok(())
    }

    /// Writes the sums of these hours. Returns the duration of the transaction before its COMMIT; `None` if another hub
    /// has moved the end, or has changed hours of devices since the sums were read.
    pub async fn renew_totals(
        &self,
        table: &RolledTable,
        until_s: i64,
        outdated: Outdated,
        renewed: Renewed,
    ) -> Result<Option<Duration>> {
        let transaction = self.begin([]).await?;
        let begun = Instant::now();
        let written = replace(&transaction, table, until_s, outdated, renewed.0).await;
        let held = begun.elapsed();
        let is_written = transaction.finish(written).await?;
        Ok(is_written.then_some(held))
    }
}

async fn replace(
    transaction: &DatabaseTransaction,
    table: &RolledTable,
    until_s: i64,
    outdated: Outdated,
    totals: Vec<Total>,
) -> Result<bool, DbErr> {
    if !is_at(transaction, table, until_s).await? {
        return Ok(false);
    }
    // Whoever rolls hours of devices up again replaces the marks.
    let marks = outdated.marks.len() as u64;
    let is_theirs = rollup_mark::Column::Id.is_in(padded(outdated.marks));
    let found = rollup_mark::Entity::find().filter(is_theirs.clone());
    if found.count(transaction).await? != marks {
        return Ok(false);
    }
    use rollup_total::{Column, Entity};
    Entity::delete_many()
        .filter(Column::ColumnId.is_in(table.columns.iter().map(|column| column.id)))
        .filter(Column::HourS.is_in(padded(outdated.hours)))
        .filter(Column::HourS.lt(until_s))
        .exec(transaction)
        .await?;
    insert(transaction, totals).await?;
    rollup_mark::Entity::delete_many()
        .filter(is_theirs)
        .exec(transaction)
        .await?;
    Ok(true)
}

/// Marks the sums of all devices in these hours as out of date. Marks that were there are replaced, so that nobody who
/// has read the hours of devices before writes their sums.
pub(super) async fn note_outdated(
    transaction: &DatabaseTransaction,
    table: &RolledTable,
    hours: Vec<i64>,
) -> Result<(), DbErr> {
    use rollup_mark::{ActiveModel, Column, Entity};
    Entity::delete_many()
        .filter(Column::DataTableId.eq(table.id.0))
        .filter(Column::DeviceId.eq(ALL_DEVICES))
        .filter(Column::HourS.is_in(padded(hours.clone())))
        .exec(transaction)
        .await?;
    let marks = hours.into_iter().map(|hour_s| ActiveModel {
        tenant_id: Set(table.tenant.0),
        data_table_id: Set(table.id.0),
        device_id: Set(ALL_DEVICES.to_owned()),
        hour_s: Set(hour_s),
        ..Default::default()
    });
    bulk::insert::<Entity, _>(transaction, marks.collect(), None).await
}

pub(super) async fn insert(
    transaction: &DatabaseTransaction,
    totals: Vec<Total>,
) -> Result<(), DbErr> {
    let rows = totals.into_iter().map(|total| total.0).collect();
    bulk::insert::<rollup_total::Entity, _>(transaction, rows, None).await
}

/// Makes the rows of sums by hour, of sums by device and hour or by hour.
pub(super) fn totals(
    table: &RolledTable,
    column: &RolledColumn,
    sums: &[BaseBucket],
) -> Result<Vec<Total>> {
    let mut by_hour: BTreeMap<i64, Sums> = BTreeMap::new();
    for base in sums {
        let sums = by_hour.entry(base.start_s).or_default();
        sums.add(base.sums.clone());
    }
    let rows = by_hour.into_iter().map(|(hour_s, sums)| {
        let sums = Stored::of(sums)?;
        let row = row_of_sums!(
            rollup_total {
                tenant_id: table.tenant.0,
                column_id: column.id,
                hour_s: hour_s,
            },
            sums
        );
        Ok(Total(row))
    });
    rows.collect()
}
