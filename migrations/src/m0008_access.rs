//! Access and accountability: API keys, the audit log, keys of repeated requests, and a revision on everything that
//! people edit.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{index, resource, table, unique};

/// Tables of resources that people edit.
const EDITED: [&str; 7] = [
    "tenants",
    "users",
    "network_connections",
    "drivers",
    "devices",
    "data_tables",
    "integrations",
];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for edited in EDITED {
            let revision = big_integer("revision").default(1).take();
            add_column(manager, edited, revision).await?;
        }
        // Increases with every change of the tenant's provisioned resources: hubs that share a database see
        // by it that their caches are out of date.
        let epoch = big_integer("epoch").default(0).take();
        add_column(manager, "tenants", epoch).await?;
        add_column(manager, "users", boolean("locked").default(false).take()).await?;
        add_column(
            manager,
            "users",
            boolean("is_operator").default(false).take(),
        )
        .await?;
        // The first user is the one that set up the installation.
        manager
            .get_connection()
            .execute_unprepared(
                "UPDATE users SET is_operator = TRUE WHERE id = (SELECT MIN(id) FROM users)",
            )
            .await?;
        // The order of the list of devices; without it, all of a tenant's devices are sorted for a page.
        manager
            .create_index(index("devices", &["tenant_id", "id"]))
            .await?;
        manager
            .create_table(
                resource("api_keys")
                    .col(string_len("name", 120))
                    .col(binary_len("key_hash", 32).unique_key())
                    .col(json_binary("scopes"))
                    .col(timestamp_with_time_zone_null("expires_at"))
                    .col(timestamp_with_time_zone_null("last_used_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(unique("api_keys", &["tenant_id", "name"]))
            .await?;
        manager
            .create_table(
                table("audit_log")
                    .col(uuid("id").primary_key())
                    .col(timestamp_with_time_zone("at"))
                    .col(big_integer_null("user_id"))
                    .col(big_integer_null("api_key_id"))
                    .col(string_len("actor", 120))
                    .col(string_len_null("address", 45))
                    .col(string_len("request_id", 64))
                    .col(string_len("action", 64))
                    .col(string_len("resource", 64))
                    .col(string_len("resource_id", 191))
                    .col(json_binary_null("before"))
                    .col(json_binary_null("after"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("audit_log", &["tenant_id", "id"]))
            .await?;
        manager
            .create_index(index(
                "audit_log",
                &["tenant_id", "resource", "resource_id", "id"],
            ))
            .await?;
        manager
            .create_table(
                table("idempotency_keys")
                    .col(binary_len("key_hash", 32).primary_key())
                    .col(binary_len("request_hash", 32))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(blob_null("answer"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("idempotency_keys", &["created_at"]))
            .await
    }
}

async fn add_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    manager
        .alter_table(Table::alter().table(table).add_column(column).to_owned())
        .await
}
