//! Data tables: values of the devices that a label selector matches, stored for long.

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
                resource("data_tables")
                    .col(string_len("name", 120))
                    .col(text("description"))
                    .col(text("selector"))
                    // NULL: every decoded field.
                    .col(json_binary_null("columns"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(unique("data_tables", &["tenant_id", "name"]))
            .await?;
        manager
            .create_table(
                table("data_table_rows")
                    .col(uuid("id").primary_key())
                    .col(big_integer("data_table_id"))
                    // No reference: rows outlive the device they came from.
                    .col(string_len("device_id", 63))
                    .col(timestamp_with_time_zone("ts"))
                    .col(json_binary("data"))
                    .foreign_key(&mut reference(
                        "data_table_rows",
                        "data_table_id",
                        "data_tables",
                    ))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("data_table_rows", &["data_table_id", "ts", "id"]))
            .await?;
        manager
            .create_index(index(
                "data_table_rows",
                &["data_table_id", "device_id", "ts", "id"],
            ))
            .await
    }
}
