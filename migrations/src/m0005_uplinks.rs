//! Received messages: uplinks, one JSON row each, and events for everything else.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{index, reference, table};

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
                table("uplinks")
                    .col(uuid("id").primary_key())
                    .col(big_integer("device_key"))
                    .col(big_integer("connection_id"))
                    .col(timestamp_with_time_zone("received_at"))
                    .col(timestamp_with_time_zone("ts"))
                    .col(integer_null("f_port"))
                    .col(big_integer_null("f_cnt"))
                    .col(binary_null("raw"))
                    .col(json_binary("radio"))
                    .col(json_binary_null("data"))
                    .col(json_binary_null("failure"))
                    .foreign_key(&mut reference("uplinks", "device_key", "devices"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("uplinks", &["device_key", "ts"]))
            .await?;
        manager
            .create_table(
                table("events")
                    .col(uuid("id").primary_key())
                    .col(string_len("kind", 40))
                    .col(big_integer_null("device_key"))
                    .col(big_integer_null("connection_id"))
                    .col(timestamp_with_time_zone("at"))
                    .col(text("message"))
                    .col(json_binary("details"))
                    .foreign_key(&mut reference("events", "device_key", "devices"))
                    .foreign_key(&mut reference(
                        "events",
                        "connection_id",
                        "network_connections",
                    ))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("events", &["device_key", "id"]))
            .await?;
        manager
            .create_index(index("events", &["connection_id", "id"]))
            .await
    }
}
