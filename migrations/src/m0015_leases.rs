//! Leases for work that only one of the hubs on a database may do at a time, and whether the brokers of
//! network connections are connected.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{add_column, table};

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
                table("leases")
                    // Such as `network_connection/7`.
                    .col(string_len("name", 100).primary_key())
                    // The process that does it.
                    .col(uuid("holder"))
                    .col(timestamp_with_time_zone("expires_at"))
                    .to_owned(),
            )
            .await?;
        // NULL: this connection has no subscription.
        for column in [
            boolean_null("connected").to_owned(),
            timestamp_with_time_zone_null("connected_since").to_owned(),
            text_null("connection_error").to_owned(),
        ] {
            add_column(manager, "connection_health", column).await?;
        }
        Ok(())
    }
}
