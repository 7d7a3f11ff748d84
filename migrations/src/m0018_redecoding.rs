//! Decoding stored uplinks again: which row of a data table came of which uplink, and how far a
//! device's uplinks have been decoded again.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{add_column, reference, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // NULL: written before there was this column.
        add_column(manager, "data_table_rows", uuid_null("uplink_id")).await?;
        manager
            .create_table(
                table("redecodings")
                    .col(big_integer("device_key").primary_key())
                    .col(text("driver"))
                    .col(timestamp_with_time_zone("ts"))
                    .col(uuid("uplink_id"))
                    // It began with the first uplink that is stored.
                    .col(boolean("is_whole"))
                    .col(json_binary_null("state"))
                    .col(json_binary("gone"))
                    .col(json_binary("reported"))
                    .foreign_key(&mut reference("redecodings", "device_key", "devices"))
                    .to_owned(),
            )
            .await
    }
}
