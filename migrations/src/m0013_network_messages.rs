//! Needs of network servers' messages: the secrets of a connection, the last frames of a device, and the devices that
//! nobody provisioned.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{add_column, index, reference, table, unique};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ("network_connections", binary_null("secret")),
            ("network_connections", json_binary_null("auto_provisioning")),
            // Fingerprints of the device's last frames, and what they were recorded as.
            ("device_states", binary_null("frames")),
            // Time of reception of the newest frame that was taken over into the state.
            ("device_states", timestamp_with_time_zone_null("newest_at")),
            (
                "connection_health",
                big_integer("duplicates").default(0).take(),
            ),
        ];
        for (table, column) in columns {
            add_column(manager, table, column).await?;
        }
        manager
            .create_table(
                table("unknown_devices")
                    .col(big_integer("id").auto_increment().primary_key())
                    .col(big_integer("connection_id"))
                    .col(string_len("network_device_id", 100))
                    .col(timestamp_with_time_zone("first_seen_at"))
                    .col(timestamp_with_time_zone("last_seen_at"))
                    .col(big_integer("messages"))
                    .col(integer_null("f_port"))
                    .col(binary_null("raw"))
                    // The network server's name of the device.
                    .col(text_null("name"))
                    .col(text_null("application"))
                    .foreign_key(&mut reference(
                        "unknown_devices",
                        "connection_id",
                        "network_connections",
                    ))
                    .to_owned(),
            )
            .await?;
        let addresses = ["connection_id", "network_device_id"];
        manager
            .create_index(unique("unknown_devices", &addresses))
            .await?;
        manager
            .create_index(index("unknown_devices", &["connection_id", "last_seen_at"]))
            .await
    }
}
