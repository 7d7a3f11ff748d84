//! Network connections and their health.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{reference, resource, table, unique};

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
                resource("network_connections")
                    .col(string_len("name", 120))
                    .col(string_len("kind", 40))
                    .col(json_binary("settings"))
                    .col(boolean("enabled"))
                    .col(binary_len("ingest_key_hash", 32))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(unique("network_connections", &["tenant_id", "name"]))
            .await?;
        manager
            .create_table(
                table("connection_health")
                    .col(big_integer("connection_id").primary_key())
                    .col(big_integer("uplinks"))
                    .col(big_integer("unknown_devices"))
                    .col(big_integer("other_messages"))
                    .col(big_integer("malformed"))
                    .col(timestamp_with_time_zone_null("last_message_at"))
                    .col(timestamp_with_time_zone_null("last_error_at"))
                    .col(text_null("last_error"))
                    .foreign_key(&mut reference(
                        "connection_health",
                        "connection_id",
                        "network_connections",
                    ))
                    .to_owned(),
            )
            .await
    }
}
