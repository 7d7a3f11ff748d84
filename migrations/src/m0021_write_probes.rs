//! The rows with which hubs test whether the database accepts writes: each hub writes only its own.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("write_probes")
                    .col(uuid("id").primary_key())
                    .col(timestamp_with_time_zone("at"))
                    // Bytes, so that the write needs space on disk.
                    .col(blob("filler"))
                    .to_owned(),
            )
            .await
    }
}
