//! The encoding and delimiter of an import's file, and the line that each of its rows starts in.

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
        let encoding = string_len_null("encoding", 32).to_owned();
        add_column(manager, "device_imports", encoding).await?;
        let delimiter = string_len_null("delimiter", 4).to_owned();
        add_column(manager, "device_imports", delimiter).await?;
        let line = big_integer_null("line").to_owned();
        add_column(manager, "device_import_rows", line).await
    }
}
