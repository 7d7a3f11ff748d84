//! Revisions from which new resources begin, so that an ETag of a deleted one never matches one of the same key.

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
        // Greatest revision of a deleted resource whose key may come back.
        let column = big_integer("last_revision").default(0).take();
        add_column(manager, "tenants", column).await
    }
}
