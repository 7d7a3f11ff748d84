//! States that drivers keep of devices, and the several updates that one uplink may hold.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{reference, table};

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
                table("driver_states")
                    .col(big_integer("device_key").primary_key())
                    // `author/name`: a state outlives versions, and not the driver.
                    .col(string_len("driver", 200))
                    .col(big_integer("revision"))
                    .col(json_binary("state"))
                    .foreign_key(&mut reference("driver_states", "device_key", "devices"))
                    .to_owned(),
            )
            .await?;
        manager
            .alter_table(
                Table::alter()
                    .table("uplinks")
                    .add_column(json_binary_null("updates"))
                    .to_owned(),
            )
            .await
    }
}
