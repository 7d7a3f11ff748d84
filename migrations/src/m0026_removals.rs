//! Removed tenants, and the special tenant that takes over deleted resources: they are invisible at once and
//! their rows are deleted later.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::add_column;

/// Name of the tenant without users. No tenant of a client can have this name, because it contains a control
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
