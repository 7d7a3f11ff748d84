//! The rows by which hubs probe whether the database takes writes: one for each hub, touched by no other.

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
                    // Bytes that need space.
                    .col(blob("filler"))
                    .to_owned(),
            )
            .await
    }
}
