//! The form in which an integration's messages go out.

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
        let payload = json_binary("payload")
            .default("{\"type\":\"native\"}")
            .take();
        add_column(manager, "integrations", payload).await
    }
}
