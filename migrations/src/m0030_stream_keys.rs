//! Keys that open live streams for a short time, on behalf of a session or an API key.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{index, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("stream_keys")
                    .col(binary_len("key_hash", 32).primary_key())
                    // The hash under which the session or the API key is stored. It is no reference, because a key
                    // of a deleted owner opens nothing and expires soon.
                    .col(binary_len("owner_hash", 32))
                    .col(boolean("is_of_api_key"))
                    .col(timestamp_with_time_zone("expires_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("stream_keys", &["owner_hash", "expires_at"]))
            .await?;
        manager
            .create_index(index("stream_keys", &["expires_at"]))
            .await
    }
}
