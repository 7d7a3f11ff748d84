//! Integrations and the durable queue of their deliveries.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{index, reference, resource, table, unique};

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
                resource("integrations")
                    .col(string_len("name", 120))
                    .col(text("description"))
                    .col(text("selector"))
                    .col(boolean("enabled"))
                    .col(string_len("kind", 40))
                    .col(json_binary("settings"))
                    // Encrypted; never leaves the hub but in the requests it is for.
                    .col(binary_null("secret"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(unique("integrations", &["tenant_id", "name"]))
            .await?;
        manager
            .create_table(
                table("deliveries")
                    .col(uuid("id").primary_key())
                    .col(big_integer("integration_id"))
                    .col(string_len("device_id", 63))
                    .col(uuid("uplink_id"))
                    .col(string_len("state", 20))
                    .col(integer("attempt"))
                    // Time of the next attempt; while one is under way, the end of its lease.
                    .col(timestamp_with_time_zone_null("due_at"))
                    .col(text("body"))
                    .col(integer_null("last_status"))
                    .col(text_null("last_error"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(&mut reference(
                        "deliveries",
                        "integration_id",
                        "integrations",
                    ))
                    .to_owned(),
            )
            .await?;
        // Settled deliveries have no due time, so that claiming skips them, however many there are.
        manager
            .create_index(index("deliveries", &["integration_id", "due_at"]))
            .await?;
        manager
            .create_index(index("deliveries", &["integration_id", "id"]))
            .await?;
        manager
            .create_table(
                table("delivery_attempts")
                    .col(uuid("delivery_id"))
                    .col(integer("attempt"))
                    .col(timestamp_with_time_zone("at"))
                    .col(big_integer("duration_ms"))
                    .col(integer_null("status"))
                    .col(text_null("error"))
                    .primary_key(Index::create().col("delivery_id").col("attempt"))
                    .foreign_key(&mut reference(
                        "delivery_attempts",
                        "delivery_id",
                        "deliveries",
                    ))
                    .to_owned(),
            )
            .await
    }
}
