//! Removals: removed resources disappear at once, and their data is deleted in chunks.
//!
//! A data table or a device may own millions of rows, and deleting them in one transaction would block all other
//! writers. Therefore a removal moves the owner's row to [`removed::REMOVED`], a tenant that no user belongs to: no
//! query of the original tenant finds it, its name is free, and its rows are only reachable through it. A removed
//! tenant is handled like this tenant itself. The resources of removed tenants form the list of pending deletions,
//! so that another hub can continue if one stops. The few small rows of an owner (labels, addresses, states, health)
//! are deleted at once.

mod stretch;

use std::{fmt, time::Instant};

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::Result,
    id::TenantId,
    store::{
        core::{clearing::Cleared, handle::Store, removed, transaction::DatabaseTransaction},
        data::scheduled,
        entities::{
            data_table, data_table_import, data_table_row, delivery, device, device_import,
            export_run, integration, network_connection, scheduled_export, tenant,
        },
        integrations, networks, rollups,
    },
};

use stretch::{HEAVY_ROWS, Stretch};

/// Maximum number of owners deleted in one transaction.
const OWNERS: u64 = 50;
/// Minimum age of a hidden import to delete; a younger one may still be in the process of being stored.
const IMPORT_AGE: TimeDelta = TimeDelta::hours(1);

/// Kind of resource that owns many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Scheduled exports, with their runs.
    ScheduledExports,
    /// Data tables, with their rows.
    DataTables,
    /// Integrations, with their deliveries.
    Integrations,
    /// Devices, with their uplinks, events and downlinks.
    Devices,
    /// Network connections, with their events, downlinks and unknown devices.
    NetworkConnections,
    /// Imports of devices, with their rows.
    Imports,
    /// Imports of rows into data tables, with the rows that they have refused.
    RowImports,
    /// Tenants that own nothing of these kinds any more.
    Tenants,
}

impl Kind {
    /// All kinds; tenants come last, because they require the others to be deleted.
    const ALL: [Self; 8] = [
        Self::ScheduledExports,
        Self::DataTables,
        Self::Integrations,
        Self::Devices,
        Self::NetworkConnections,
        Self::Imports,
        Self::RowImports,
        Self::Tenants,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ScheduledExports => "scheduled_exports",
            Self::DataTables => "data_tables",
            Self::Integrations => "integrations",
            Self::Devices => "devices",
            Self::NetworkConnections => "network_connections",
            Self::Imports => "imports",
            Self::RowImports => "row_imports",
            Self::Tenants => "tenants",
        })
    }
}

/// Removes all data tables, their exports, integrations and connections of a tenant, in the order in which the writer
/// of uplinks locks them.
pub(in crate::store) async fn bury_targets(
    transaction: &DatabaseTransaction,
    tenant: TenantId,
) -> Result<(), DbErr> {
    let key = network_connection::Column::Id;
    let connections = removed::hold::<network_connection::Entity>(transaction, tenant, key).await?;
    let tables =
        removed::hold::<data_table::Entity>(transaction, tenant, data_table::Column::Id).await?;
    let integrations =
        removed::hold::<integration::Entity>(transaction, tenant, integration::Column::Id).await?;
    for key in connections {
        networks::rows::bury(transaction, key).await?;
    }
    let key = scheduled_export::Column::Id;
    let exports = removed::hold::<scheduled_export::Entity>(transaction, tenant, key).await?;
    scheduled::bury(transaction, exports).await?;
    for key in tables {
        removed::bury::<data_table::Entity>(data_table::Column::Name)
            .filter(data_table::Column::Id.eq(key))
            .exec(transaction)
            .await?;
    }
    for key in integrations {
        integrations::bury(transaction, key).await?;
    }
    Ok(())
}

impl Store {
    /// Returns the kinds with data to delete.
    pub async fn removals(&self) -> Result<Vec<(TenantId, Kind)>> {
        let (mut kinds, now) = (Vec::new(), self.now());
        for kind in Kind::ALL {
            if !kind.owners(&self.inner.reader, now, 1).await?.is_empty() {
                kinds.push((removed::REMOVED, kind));
            }
        }
        Ok(kinds)
    }

    /// Deletes a chunk of at most `rows` rows in one transaction.
    pub async fn clear_removed(&self, kind: Kind, rows: u64) -> Result<Cleared> {
        let transaction = self.begin([]).await?;
        let begun = Instant::now();
        let cleared = kind.clear(&transaction, self.now(), rows).await;
        let held = begun.elapsed();
        let (is_more, rows) = transaction.finish(cleared).await?;
        Ok(Cleared {
            is_more,
            rows,
            held,
        })
    }
}

impl Kind {
    /// Returns the first owners to delete.
    async fn owners<C: ConnectionTrait>(
        self,
        connection: &C,
        now: Time,
        limit: u64,
    ) -> Result<Vec<i64>, DbErr> {
        let tenants: Vec<i64> = tenant::Entity::find()
            .filter(tenant::Column::RemovedAt.is_not_null())
            .order_by_asc(tenant::Column::Id)
            .select_only()
            .column(tenant::Column::Id)
            .into_tuple()
            .all(connection)
            .await?;
        let mut owners = Vec::new();
        // One tenant at a time, so that the index by tenant and key applies.
        for tenant in tenants {
            let room = limit - owners.len() as u64;
            if room == 0 {
                break;
            }
            if self != Self::Tenants {
                owners.extend(self.owners_of(connection, now, tenant, room).await?);
            } else if tenant != removed::REMOVED.0 && is_bare(connection, now, tenant).await? {
                owners.push(tenant);
            }
        }
        Ok(owners)
    }

    async fn owners_of<C: ConnectionTrait>(
        self,
        connection: &C,
        now: Time,
        tenant: i64,
        limit: u64,
    ) -> Result<Vec<i64>, DbErr> {
        macro_rules! first {
            ($entity:ident) => {
                $entity::Entity::find()
                    .filter($entity::Column::TenantId.eq(tenant))
                    .order_by_asc($entity::Column::Id)
                    .limit(limit)
                    .select_only()
                    .column($entity::Column::Id)
            };
        }
        match self {
            Self::ScheduledExports => {
                let first = first!(scheduled_export);
                first.into_tuple().all(connection).await
            }
            Self::DataTables => first!(data_table).into_tuple().all(connection).await,
            Self::Integrations => first!(integration).into_tuple().all(connection).await,
            Self::Devices => first!(device).into_tuple().all(connection).await,
            Self::NetworkConnections => {
                let first = first!(network_connection);
                first.into_tuple().all(connection).await
            }
            Self::Imports => {
                let mut first = first!(device_import);
                if tenant == removed::REMOVED.0 {
                    let old = now - IMPORT_AGE;
                    first = first.filter(device_import::Column::UpdatedAt.lt(old));
                }
                first.into_tuple().all(connection).await
            }
            Self::RowImports => {
                let mut first = first!(data_table_import);
                if tenant == removed::REMOVED.0 {
                    let old = now - IMPORT_AGE;
                    first = first.filter(data_table_import::Column::UpdatedAt.lt(old));
                }
                first.into_tuple().all(connection).await
            }
            Self::Tenants => Ok(Vec::new()),
        }
    }

    async fn clear(
        self,
        transaction: &DatabaseTransaction,
        now: Time,
        rows: u64,
    ) -> Result<(bool, u64), DbErr> {
        let owners = self.owners(transaction, now, OWNERS).await?;
        let mut stretch = Stretch {
            transaction,
            left: rows,
            cleared: 0,
        };
        for owner in &owners {
            self.clear_parts(&mut stretch, *owner).await?;
            if stretch.left == 0 {
                return Ok((true, stretch.cleared));
            }
            self.delete(transaction, *owner).await?;
        }
        Ok((!owners.is_empty(), stretch.cleared))
    }

    /// Deletes the rows of an owner, up to the limit of the chunk.
    async fn clear_parts(self, stretch: &mut Stretch<'_>, owner: i64) -> Result<(), DbErr> {
        match self {
            Self::ScheduledExports => {
                use export_run::{Column, Entity};
                let which = Column::ExportId.eq(owner);
                stretch
                    .clear::<Entity, i64>(Column::Id, which, &[Column::Number])
                    .await
            }
            Self::DataTables => {
                // From now on the deletion of rows leaves no marks.
                rollups::forget(stretch.transaction, owner).await?;
                use data_table_row::{Column, Entity};
                let which = Column::DataTableId.eq(owner);
                stretch
                    .clear::<Entity, Uuid>(Column::Id, which, &[Column::Ts, Column::Id])
                    .await?;
                stretch::clear_rollups(stretch, owner).await?;
                stretch::clear_row_imports_of(stretch, owner).await
            }
            Self::Integrations => {
                use delivery::{Column, Entity};
                let which = Column::IntegrationId.eq(owner);
                stretch
                    .at_most(HEAVY_ROWS)
                    .clear::<Entity, Uuid>(Column::Id, which, &[Column::Id])
                    .await
            }
            Self::Devices => stretch::clear_device(stretch, owner).await,
            Self::NetworkConnections => stretch::clear_connection(stretch, owner).await,
            Self::Imports => stretch::clear_import(stretch, owner).await,
            Self::RowImports => stretch::clear_row_import(stretch, owner).await,
            Self::Tenants => Ok(()),
        }
    }

    /// Deletes an owner without remaining rows, along with rows added in the meantime.
    async fn delete(self, transaction: &DatabaseTransaction, owner: i64) -> Result<(), DbErr> {
        match self {
            Self::ScheduledExports => delete::<scheduled_export::Entity>(transaction, owner).await,
            Self::DataTables => delete::<data_table::Entity>(transaction, owner).await,
            Self::Integrations => delete::<integration::Entity>(transaction, owner).await,
            Self::Devices => delete::<device::Entity>(transaction, owner).await,
            Self::NetworkConnections => {
                delete::<network_connection::Entity>(transaction, owner).await
            }
            Self::Imports => delete::<device_import::Entity>(transaction, owner).await,
            Self::RowImports => delete::<data_table_import::Entity>(transaction, owner).await,
            Self::Tenants => delete::<tenant::Entity>(transaction, owner).await,
        }
    }
}

/// True if a tenant owns no resources of any kind.
async fn is_bare<C: ConnectionTrait>(
    connection: &C,
    now: Time,
    tenant: i64,
) -> Result<bool, DbErr> {
    for kind in Kind::ALL {
        let first = kind.owners_of(connection, now, tenant, 1).await?;
        if !first.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn delete<E>(transaction: &DatabaseTransaction, owner: i64) -> Result<(), DbErr>
where
    E: EntityTrait,
    <E::PrimaryKey as sea_orm::PrimaryKeyTrait>::ValueType: From<i64>,
{
    E::delete_by_id(owner).exec(transaction).await?;
    Ok(())
}
