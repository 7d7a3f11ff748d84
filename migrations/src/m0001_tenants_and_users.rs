//! Tenants, their users, and the users' sessions.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{index, reference, resource, table};

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
                Table::create()
                    .table("tenants")
                    .col(big_integer("id").auto_increment().primary_key())
                    .col(string_len_uniq("name", 120))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                resource("users")
                    .col(string_len("username", 30))
                    // Names are unique in the installation regardless of case: this is the folded one.
                    .col(string_len_uniq("username_folded", 120))
                    .col(string_len("full_name", 120))
                    .col(string_len("email", 320))
                    .col(string_len("country", 120))
                    .col(string_len("role", 20))
                    .col(text("password_hash"))
                    .col(timestamp_with_time_zone_null("last_login_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("sessions")
                    .col(binary_len("token_hash", 32).primary_key())
                    .col(big_integer("user_id"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("expires_at"))
                    .foreign_key(&mut reference("sessions", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("users", &["tenant_id"])).await?;
        manager
            .create_index(index("sessions", &["user_id"]))
            .await?;
        manager
            .create_index(index("sessions", &["expires_at"]))
            .await?;
        Ok(())
    }
}
