//! Fills of data tables: jobs that add the rows of stored uplinks.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{index, reference, resource};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        const TABLE: &str = "data_table_fills";
        let fills = resource(TABLE)
            .col(big_integer("data_table_id"))
            .col(string_len("state", 20))
            // NULL: from the oldest stored uplink.
            .col(timestamp_with_time_zone_null("span_from"))
            .col(timestamp_with_time_zone("span_to"))
            .col(string_len_null("device_id", 63))
            // The last uplink that was looked at.
            .col(uuid_null("position"))
            .col(big_integer("uplinks"))
            .col(big_integer("rows_added"))
            .col(timestamp_with_time_zone_null("finished_at"))
            .foreign_key(&mut reference(TABLE, "data_table_id", "data_tables"))
            .to_owned();
        manager.create_table(fills).await?;
        manager
            .create_index(index(TABLE, &["data_table_id", "id"]))
            .await?;
        manager.create_index(index(TABLE, &["finished_at"])).await
    }
}
