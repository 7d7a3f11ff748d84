//! Sums of all devices in an hour, so that a question to all of them does not add up the sums of each.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The columns are those of `rollup_hours` without the device.
const TOTALS: &str = "CREATE TABLE rollup_totals (tenant_id bigint NOT NULL, column_id bigint NOT NULL, \
    hour_s bigint NOT NULL, numbers bigint NOT NULL, huge bigint NOT NULL, total double precision NOT NULL, \
    mean double precision NOT NULL, squares double precision NOT NULL, low double precision NOT NULL, \
    high double precision NOT NULL, first_number double precision NOT NULL, first_us bigint NOT NULL, \
    first_id KEY NOT NULL, last_number double precision NOT NULL, last_us bigint NOT NULL, last_id KEY NOT NULL, \
    PRIMARY KEY (column_id, hour_s))";
/// Drops the rollups that lack these sums, a few rows; the hub deletes their hours in the background, and makes them
/// anew.
const DROPS: [&str; 2] = [
    "DELETE FROM data_table_rollups",
    "UPDATE rollup_columns SET is_dropped = true",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let totals = match manager.get_database_backend() {
            DbBackend::Postgres => TOTALS.replace("KEY NOT", "uuid NOT"),
            _ => TOTALS.replace("KEY NOT", "blob NOT") + " WITHOUT ROWID",
        };
        let connection = manager.get_connection();
        connection.execute_unprepared(&totals).await?;
        for drop in DROPS {
            connection.execute_unprepared(drop).await?;
        }
        Ok(())
    }
}
