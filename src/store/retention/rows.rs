//! Old rows of data tables, by the retention of each table.

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::ExprTrait,
};
use uuid::Uuid;

use super::Sweep;
use crate::{
    error::Result,
    store::{
        core::{clearing::Cleared, handle::Store, removed},
        entities::{data_table, data_table_row},
    },
};

impl Sweep {
    /// Deletes a chunk of the old rows of the next data table.
    pub(super) async fn step_rows(&mut self, store: &Store, limit: u64) -> Result<Cleared> {
        let next: Option<(i64, i32)> = data_table::Entity::find()
            .filter(data_table::Column::Id.gt(self.after))
            .filter(data_table::Column::RetentionDays.is_not_null())
            .filter(removed::is_live(data_table::Column::TenantId.into_expr()))
            .order_by_asc(data_table::Column::Id)
            .limit(1)
            .select_only()
            .column(data_table::Column::Id)
            .column(data_table::Column::RetentionDays)
            .into_tuple()
            .one(&store.inner.reader)
            .await?;
        let Some((table, days)) = next else {
            return Ok(Cleared::NONE);
        };
        use data_table_row::{Column, Entity};
        let before = self.now - TimeDelta::days(days.into());
        let which = Column::DataTableId.eq(table).and(Column::Ts.lt(before));
        let order = [Column::Ts, Column::Id];
        let cleared = store
            .clear::<Entity, Uuid>(Column::Id, which, &order, limit)
            .await?;
        if !cleared.is_more {
            self.after = table;
        }
        Ok(Cleared {
            is_more: true,
            ..cleared
        })
    }
}
