//! The state of the request behind an idempotency key: until when its claim holds, and whether it has changed
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
        // NULL: nobody works on the request any more.
        let held_until = timestamp_with_time_zone_null("held_until");
        add_column(manager, TABLE, held_until).await?;
        let is_done = boolean("is_done").default(false).take();
        add_column(manager, TABLE, is_done).await?;
        // Requests that an older version has left without an answer may have been done.
        manager
            .get_connection()
            .execute_unprepared("UPDATE idempotency_keys SET is_done = TRUE WHERE answer IS NULL")
            .await?;
        Ok(())
    }
}
