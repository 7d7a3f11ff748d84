//! By how much the clock of the hub that owns a file was set, for the next hub on it.

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
                    // There is one row.
                    .col(big_integer("id").primary_key())
                    .col(string("boot"))
                    .col(big_integer("offset_us"))
                    .col(json_binary("steps"))
                    .to_owned(),
            )
            .await
    }
}
