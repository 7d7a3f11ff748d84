//! Devices, their labels, their addresses in networks, and their live state.

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
                resource("devices")
                    .col(string_len("device_id", 63))
                    // NULL where the device has no name, so that only given names must differ.
                    .col(string_len_null("name", 120))
                    .col(text("description"))
                    .col(string_len_null("driver", 191))
                    .col(json_binary("metadata"))
                    // Copies of the two tables below, so that a device reads in one statement.
                    .col(json_binary("labels"))
                    .col(json_binary("connections"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(unique("devices", &["tenant_id", "device_id"]))
            .await?;
        manager
            .create_index(unique("devices", &["tenant_id", "name"]))
            .await?;
        manager
            .create_index(index("devices", &["tenant_id", "driver"]))
            .await?;
        manager
            .create_table(
                table("device_labels")
                    .col(big_integer("device_key"))
                    .col(string_len("label", 120))
                    .primary_key(Index::create().col("device_key").col("label"))
                    .foreign_key(&mut reference("device_labels", "device_key", "devices"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index(
                "device_labels",
                &["tenant_id", "label", "device_key"],
            ))
            .await?;
        manager
            .create_table(
                table("device_connections")
                    .col(big_integer("device_key"))
                    .col(big_integer("connection_id"))
                    .col(string_len("network_device_id", 100))
                    .primary_key(
                        Index::create()
                            .col("connection_id")
                            .col("network_device_id"),
                    )
                    .foreign_key(&mut reference(
                        "device_connections",
                        "device_key",
                        "devices",
                    ))
                    .foreign_key(&mut reference(
                        "device_connections",
                        "connection_id",
                        "network_connections",
                    ))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("device_connections", &["device_key"]))
            .await?;
        // Apart from `devices`, so that an uplink never rewrites what people provision.
        manager
            .create_table(
                table("device_states")
                    .col(big_integer("device_key").primary_key())
                    .col(json_binary("reported"))
                    .col(json_binary("desired"))
                    .col(timestamp_with_time_zone_null("received_at"))
                    .col(binary_null("raw"))
                    .foreign_key(&mut reference("device_states", "device_key", "devices"))
                    .to_owned(),
            )
            .await
    }
}
