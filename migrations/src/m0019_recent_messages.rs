//! Counts of a connection's recently accepted and rejected messages: in the hour of the last message, and in
//! the hour before.

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
        for column in [
            // Hours since 1970.
            "recent_hour",
            "recent_taken",
            "recent_refused",
            "before_taken",
            "before_refused",
        ] {
            let column = big_integer(column).default(0).take();
            add_column(manager, "connection_health", column).await?;
        }
        Ok(())
    }
}
