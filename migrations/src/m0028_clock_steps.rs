//! The steps of the clock that a hub has observed, for the next hub on the same SQLite file.

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
                    .table("clock_steps")
                    // The table has one row.
                    .col(big_integer("id").primary_key())
                    .col(string("boot"))
                    .col(big_integer("offset_us"))
                    .col(json_binary("steps"))
                    .to_owned(),
            )
            .await
    }
}
