//! Removed tenants, and the one among them that takes what others delete: it is out of sight at once and
//! cleared away later.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::add_column;

/// The tenant that nobody is in. No tenant that a client makes can have its name, which has a control
/// character.
const REMOVED: &str = "INSERT INTO tenants \
     (id, name, created_at, updated_at, revision, epoch, removed_at) VALUES (0, '\u{7f}0', \
     '1970-01-01T00:00:00+00:00', '1970-01-01T00:00:00+00:00', 1, 0, '1970-01-01T00:00:00+00:00')";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let removed_at = timestamp_with_time_zone_null("removed_at").to_owned();
        add_column(manager, "tenants", removed_at).await?;
        manager.get_connection().execute_unprepared(REMOVED).await?;
        Ok(())
    }
}
