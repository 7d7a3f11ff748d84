//! The state of the request with an idempotency key: the end of its claim, and whether it has changed
//! anything.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::add_column;

const TABLE: &str = "idempotency_keys";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // NULL: the request is no longer in progress.
        let held_until = timestamp_with_time_zone_null("held_until");
        add_column(manager, TABLE, held_until).await?;
        let is_done = boolean("is_done").default(false).take();
        add_column(manager, TABLE, is_done).await?;
        // Requests that an older version has left without a response may have been executed.
        manager
            .get_connection()
            .execute_unprepared("UPDATE idempotency_keys SET is_done = TRUE WHERE answer IS NULL")
            .await?;
        Ok(())
    }
}
