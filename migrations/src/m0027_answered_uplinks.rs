//! The uplink that a downlink answered: a network server that did not get the answer repeats the uplink.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::add_column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // NULL: it went out by itself, or before there was this column. Not a reference: the uplink may
        // go before the downlink.
        add_column(manager, "downlinks", uuid_null("answered_uplink_id")).await
    }
}
