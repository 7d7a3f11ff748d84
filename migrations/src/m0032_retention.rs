//! Retention of uplinks by tenant and of rows by data table, and the order in which jobs end.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{add_column, index};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["tenants", "data_tables"] {
            // NULL: the hub's setting for uplinks of a tenant, and no limit for rows of a data table.
            add_column(manager, table, integer_null("retention_days").take()).await?;
        }
        for table in ["device_imports", "delivery_replays"] {
            manager.create_index(index(table, &["finished_at"])).await?;
        }
        Ok(())
    }
}
