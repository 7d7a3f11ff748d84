//! Chunk of a deletion: the rows of owners, by their keys, up to the limit of one transaction.

use sea_orm::{
    ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    TryGetableMany, Value, sea_query::Expr,
};
use uuid::Uuid;

use crate::store::{
    core::{clearing, transaction::DatabaseTransaction},
    entities::{
        data_table_import, data_table_import_batch, data_table_import_row, device_connection,
        device_import_batch, device_import_row, downlink, event, rollup_mark, unknown_device,
        uplink,
    },
    rollups,
};

/// Limit for rows with many dependents: deliveries with their attempts, and import batches of dozens of rows.
pub const HEAVY_ROWS: u64 = 250;

/// Chunk that one transaction deletes.
pub(super) struct Stretch<'a> {
    pub transaction: &'a DatabaseTransaction,
    /// Number of rows that may still be deleted.
    pub left: u64,
    /// Number of rows deleted so far.
    pub cleared: u64,
}

impl Stretch<'_> {
    /// Lowers the limit of the chunk.
    pub fn at_most(&mut self, rows: u64) -> &mut Self {
        self.left = Ord::min(self.left, rows);
        self
    }

    /// Deletes the first rows in the order of an index. Deletes by key only, so that the query plan does not depend
    /// on the number of rows.
    pub async fn clear<E, K>(
        &mut self,
        key: E::Column,
        which: Expr,
        order: &[E::Column],
    ) -> Result<(), DbErr>
    where
        E: EntityTrait,
        K: TryGetableMany + Into<Value> + Send + Sync + Unpin,
    {
        let keys = self.first::<E, K>(key, which, order).await?;
        self.delete::<E, K>(key, keys, Condition::all()).await
    }

    /// Deletes the first rows likewise, if their keys are unique only within their owner.
    async fn clear_within<E, K>(&mut self, key: E::Column, which: Expr) -> Result<(), DbErr>
    where
        E: EntityTrait,
        K: TryGetableMany + Into<Value> + Send + Sync + Unpin,
    {
        let keys = self.first::<E, K>(key, which.clone(), &[key]).await?;
        let within = Condition::all().add(which);
        self.delete::<E, K>(key, keys, within).await
    }

    async fn delete<E, K>(
        &self,
        key: E::Column,
        keys: Vec<K>,
        within: Condition,
    ) -> Result<(), DbErr>
    where
        E: EntityTrait,
        K: Into<Value>,
    {
        if !keys.is_empty() {
            E::delete_many()
                .filter(within)
                .filter(key.is_in(keys))
                .exec(self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Returns the keys of the first rows and subtracts them from the limit.
    async fn first<E, T>(
        &mut self,
        key: E::Column,
        which: Expr,
        order: &[E::Column],
    ) -> Result<Vec<T>, DbErr>
    where
        E: EntityTrait,
        T: TryGetableMany + Send + Sync + Unpin,
    {
        if self.left == 0 {
            return Ok(Vec::new());
        }
        let found = clearing::first::<E, T>(self.transaction, key, which, order, self.left).await?;
        self.left -= found.len() as u64;
        self.cleared += found.len() as u64;
        Ok(found)
    }
}

/// Deletes the rollups of a data table, and the marks of its hours.
pub(super) async fn clear_rollups(stretch: &mut Stretch<'_>, owner: i64) -> Result<(), DbErr> {
    use rollup_mark::{Column, Entity};
    let (which, order) = (Column::DataTableId.eq(owner), [Column::HourS]);
    stretch
        .clear::<Entity, i64>(Column::Id, which, &order)
        .await?;
    for column in rollups::columns_of(stretch.transaction, owner).await? {
        if stretch.left == 0 {
            break;
        }
        let rows = rollups::hours::clear_hours(stretch.transaction, column, stretch.left).await?;
        stretch.left = stretch.left.saturating_sub(rows);
        stretch.cleared += rows;
    }
    Ok(())
}

pub(super) async fn clear_device(stretch: &mut Stretch<'_>, owner: i64) -> Result<(), DbErr> {
    {
        use uplink::{Column, Entity};
        let (which, order) = (Column::DeviceKey.eq(owner), [Column::Ts]);
        stretch
            .clear::<Entity, Uuid>(Column::Id, which, &order)
            .await?;
    }
    {
        use event::{Column, Entity};
        let (which, order) = (Column::DeviceKey.eq(owner), [Column::Id]);
        stretch
            .clear::<Entity, Uuid>(Column::Id, which, &order)
            .await?;
    }
    use downlink::{Column, Entity};
    let (which, order) = (Column::DeviceKey.eq(owner), [Column::Id]);
    stretch
        .clear::<Entity, Uuid>(Column::Id, which, &order)
        .await
}

pub(super) async fn clear_connection(stretch: &mut Stretch<'_>, owner: i64) -> Result<(), DbErr> {
    clear_events_of_connection(stretch, owner).await?;
    {
        use downlink::{Column, Entity};
        let which = Column::ConnectionId.eq(owner);
        let order = [Column::State, Column::DueAt];
        stretch
            .clear::<Entity, Uuid>(Column::Id, which, &order)
            .await?;
    }
    {
        use unknown_device::{Column, Entity};
        let (which, order) = (Column::ConnectionId.eq(owner), [Column::LastSeenAt]);
        stretch
            .clear::<Entity, i64>(Column::Id, which, &order)
            .await?;
    }
    // Only present if the tenant of the devices was removed as well.
    use device_connection::{Column, Entity};
    stretch
        .clear_within::<Entity, String>(Column::NetworkDeviceId, Column::ConnectionId.eq(owner))
        .await
}

/// Deletes the events of a connection, except those of devices, which stay with the devices.
async fn clear_events_of_connection(stretch: &mut Stretch<'_>, owner: i64) -> Result<(), DbErr> {
    use event::{Column, Entity};
    let which = || Column::ConnectionId.eq(owner);
    let keys: Vec<Uuid> = stretch
        .first::<Entity, Uuid>(Column::Id, which(), &[Column::Id])
        .await?;
    if keys.is_empty() {
        return Ok(());
    }
    Entity::delete_many()
        .filter(Column::Id.is_in(keys.clone()))
        .filter(Column::DeviceKey.is_null())
        .exec(stretch.transaction)
        .await?;
    Entity::update_many()
        .col_expr(Column::ConnectionId, Expr::value(None::<i64>))
        .filter(Column::Id.is_in(keys))
        .exec(stretch.transaction)
        .await?;
    Ok(())
}

pub(super) async fn clear_import(stretch: &mut Stretch<'_>, owner: i64) -> Result<(), DbErr> {
    {
        use device_import_row::{Column, Entity};
        stretch
            .clear_within::<Entity, i64>(Column::Number, Column::ImportId.eq(owner))
            .await?;
    }
    use device_import_batch::{Column, Entity};
    stretch
        .at_most(HEAVY_ROWS)
        .clear_within::<Entity, i64>(Column::FirstRow, Column::ImportId.eq(owner))
        .await
}

/// Deletes the rows of all imports into a data table.
pub(super) async fn clear_row_imports_of(
    stretch: &mut Stretch<'_>,
    table: i64,
) -> Result<(), DbErr> {
    use data_table_import::{Column, Entity};
    let imports: Vec<i64> = Entity::find()
        .filter(Column::DataTableId.eq(table))
        .order_by_asc(Column::Id)
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(stretch.transaction)
        .await?;
    for import in imports {
        if stretch.left == 0 {
            break;
        }
        clear_row_import(stretch, import).await?;
    }
    Ok(())
}

pub(super) async fn clear_row_import(stretch: &mut Stretch<'_>, owner: i64) -> Result<(), DbErr> {
    {
        use data_table_import_row::{Column, Entity};
        stretch
            .clear_within::<Entity, i64>(Column::Number, Column::ImportId.eq(owner))
            .await?;
    }
    use data_table_import_batch::{Column, Entity};
    stretch
        .at_most(HEAVY_ROWS)
        .clear_within::<Entity, i64>(Column::FirstRow, Column::ImportId.eq(owner))
        .await
}
