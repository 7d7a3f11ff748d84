//! The number of deliveries of an integration that were given up, as its queue was too long or too old.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::add_column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let given_up = big_integer("given_up").default(0).take();
        add_column(manager, "integration_health", given_up).await
    }
}
