//! Drivers: their names, their immutable versions, and the tags that point at versions.

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
                resource("drivers")
                    .col(string_len("author", 63))
                    .col(string_len("name", 63))
                    .col(text("description"))
                    .col(json_binary("supports"))
                    .col(json_binary("labels"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(unique("drivers", &["tenant_id", "author", "name"]))
            .await?;
        manager
            .create_table(
                table("driver_versions")
                    .col(big_integer("id").auto_increment().primary_key())
                    .col(big_integer("driver_id"))
                    .col(string_len("digest", 64))
                    .col(text("script"))
                    .col(json_binary("functions"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut reference("driver_versions", "driver_id", "drivers"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(unique("driver_versions", &["driver_id", "digest"]))
            .await?;
        manager
            .create_table(
                table("driver_tags")
                    .col(big_integer("driver_id"))
                    .col(string_len("name", 63))
                    .col(big_integer("version_id"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .primary_key(Index::create().col("driver_id").col("name"))
                    .foreign_key(&mut reference("driver_tags", "driver_id", "drivers"))
                    .foreign_key(&mut reference(
                        "driver_tags",
                        "version_id",
                        "driver_versions",
                    ))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("driver_tags", &["version_id"]))
            .await
    }
}
