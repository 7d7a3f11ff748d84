//! The queue of downlinks, and the settings by which it reaches each network server.

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
                table("downlinks")
                    .col(uuid("id").primary_key())
                    .col(big_integer("device_key"))
                    .col(big_integer("connection_id"))
                    .col(string_len("network_device_id", 100))
                    .col(string_len("origin", 20))
                    .col(string_len("state", 20))
                    .col(binary("payload"))
                    .col(json_binary_null("content"))
                    .col(integer("f_port"))
                    .col(boolean("confirmed"))
                    .col(integer("priority"))
                    .col(integer("attempt"))
                    // Time of the next attempt; while one is under way, the end of its lease.
                    .col(timestamp_with_time_zone_null("due_at"))
                    .col(boolean("is_sending"))
                    .col(timestamp_with_time_zone_null("expires_at"))
                    .col(timestamp_with_time_zone_null("sent_at"))
                    .col(timestamp_with_time_zone_null("transmitted_at"))
                    .col(string_len_null("network_reference", 200))
                    .col(big_integer_null("f_cnt_down"))
                    .col(integer_null("last_status"))
                    .col(text_null("last_error"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(&mut reference("downlinks", "device_key", "devices"))
                    .foreign_key(&mut reference(
                        "downlinks",
                        "connection_id",
                        "network_connections",
                    ))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("downlinks", &["device_key", "id"]))
            .await?;
        manager
            .create_index(index("downlinks", &["device_key", "state", "id"]))
            .await?;
        manager
            .create_index(index("downlinks", &["connection_id", "state", "due_at"]))
            .await?;
        manager
            .create_table(
                table("downlink_settings")
                    .col(big_integer("connection_id").primary_key())
                    .col(json_binary("settings"))
                    // Encrypted; never leaves the hub but in the requests it is for.
                    .col(binary_null("secret"))
                    .col(big_integer("revision"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(&mut reference(
                        "downlink_settings",
                        "connection_id",
                        "network_connections",
                    ))
                    .to_owned(),
            )
            .await?;
        // The few that wait, for a hub that starts or takes over another's work.
        manager
            .get_connection()
            .execute_unprepared(
                "CREATE INDEX ix_downlinks_queued ON downlinks (connection_id, tenant_id) \
                 WHERE state = 'queued'",
            )
            .await?;
        Ok(())
    }
}
