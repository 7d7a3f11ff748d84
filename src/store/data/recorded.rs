//! Rows of a data table in the order in which they were recorded.
//!
//! Ids sort by the time of recording (decision 0040), so the rows of a window are found by the primary key. They are read
//! in sections of a number of rows of all data tables: an index by data table and id would cost more, at each uplink,
//! than the reading of other rows does.

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::ExprTrait,
};
use uuid::Uuid;

use super::Row;
use crate::{
    clock::Time,
    error::Result,
    id::{DataTableId, first_uuid_at, time_of},
    store::{
        core::{handle::Store, json::members, part::Ration, scope::Scope},
        entities::data_table_row,
    },
};

/// Maximum difference between the clocks of the hubs that generate ids.
const LATENESS: TimeDelta = TimeDelta::seconds(5);

/// Ids of a window, and the times that they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// No row with this id, or a lower one, can appear any more.
    pub id: Uuid,
    /// Time up to which rows have been recorded.
    pub time: Time,
}

impl Store {
    /// Returns the bound up to which all rows are committed and can be read.
    pub async fn recorded_until(&self) -> Result<Bound> {
        let complete = self.complete_until().await?;
        // The only hub on a file makes all ids itself, each in its transaction.
        let time = match self.has_other_writers() {
            true => complete - LATENESS,
            false => complete,
        };
        let id = first_uuid_at(time);
        // The time of the id, which has whole milliseconds: the next window starts at it.
        let time = time_of(id).unwrap_or(time);
        Ok(Bound { id, time })
    }
}

impl Bound {
    /// Returns this bound, or the other one if that is later.
    pub fn or_later(self, id: Option<Uuid>) -> Self {
        match id {
            Some(id) if id > self.id => Self {
                id,
                time: time_of(id).unwrap_or(self.time),
            },
            _ => self,
        }
    }
}

/// Reads a section of `limit` rows of all data tables behind `after` and up to `until`; it ends earlier if the rows are
/// large. Returns those of one data table, and the id behind which the next section starts, if there is one.
pub async fn section(
    scope: &Scope,
    table: DataTableId,
    after: Option<Uuid>,
    until: Uuid,
    limit: u64,
) -> Result<(Vec<Row>, Option<Uuid>)> {
    use data_table_row::{Column, Entity};
    let after = after.unwrap_or(Uuid::nil());
    let last: Option<Uuid> = Entity::find()
        .filter(Column::Id.gt(after))
        .filter(Column::Id.lte(until))
        .order_by_asc(Column::Id)
        .offset(limit.saturating_sub(1))
        .limit(1)
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .one(scope.reader())
        .await?;
    let query = scope
        .find::<Entity>()
        // A sum has no index: the primary key finds the few rows of the section.
        .filter(Column::DataTableId.into_expr().add(0_i64).eq(table.0))
        .filter(Column::Id.gt(after))
        .filter(Column::Id.lte(last.unwrap_or(until)))
        .order_by_asc(Column::Id);
    let part = scope.reader().first_rows(query, Ration::Step).await?;
    let last = match part.is_cut {
        true => part.rows.last().map(|row| row.id),
        false => last,
    };
    let rows = part.rows.into_iter().map(|row| Row {
        id: row.id,
        device_id: row.device_id,
        time: row.ts,
        data: members(row.data),
    });
    Ok((rows.collect(), last))
}
