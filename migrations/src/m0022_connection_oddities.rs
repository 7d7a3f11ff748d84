//! Further counts of a connection's health: implausible times, and requests with a wrong ingest key.

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
            big_integer("odd_times").default(0).take(),
            text_null("last_odd_time"),
            timestamp_with_time_zone_null("last_odd_time_at"),
            big_integer("unauthorized").default(0).take(),
            timestamp_with_time_zone_null("unauthorized_at"),
        ] {
            add_column(manager, "connection_health", column).await?;
        }
        Ok(())
    }
}
