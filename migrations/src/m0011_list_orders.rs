//! Indexes for the orders and filters of lists, so that a page costs the same however long the list is; and
//! a column for whether a device's last uplink was decoded.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::index;

/// The orders of lists and the filters that would otherwise look at all rows for a page.
const INDEXES: &[(&str, &[&str])] = &[
    ("network_connections", &["tenant_id", "id"]),
    ("drivers", &["tenant_id", "id"]),
    ("data_tables", &["tenant_id", "id"]),
    ("integrations", &["tenant_id", "id"]),
    ("users", &["tenant_id", "id"]),
    ("api_keys", &["tenant_id", "id"]),
    ("tenants", &["updated_at", "id"]),
    ("devices", &["tenant_id", "updated_at", "id"]),
    ("network_connections", &["tenant_id", "updated_at", "id"]),
    ("drivers", &["tenant_id", "updated_at", "id"]),
    ("data_tables", &["tenant_id", "updated_at", "id"]),
    ("integrations", &["tenant_id", "updated_at", "id"]),
    ("users", &["tenant_id", "updated_at", "id"]),
    ("api_keys", &["tenant_id", "updated_at", "id"]),
    // Names that are unique in the tenant have their order from that.
    ("users", &["tenant_id", "username_folded", "id"]),
    ("drivers", &["tenant_id", "name", "id"]),
    ("drivers", &["tenant_id", "author", "id"]),
    ("deliveries", &["integration_id", "state", "id"]),
    ("events", &["device_key", "kind", "id"]),
    ("events", &["connection_id", "kind", "id"]),
    ("audit_log", &["tenant_id", "user_id", "id"]),
    ("audit_log", &["tenant_id", "action", "id"]),
];

/// Statements that sea-query cannot express. The expressions are those of the queries, to the letter: an index serves
/// no other.
const STATEMENTS: [&str; 5] = [
    // SQLite sorts NULL first and PostgreSQL last, so a missing name is indexed as an empty one.
    "CREATE INDEX ix_devices_tenant_id_name_id ON devices (tenant_id, COALESCE(name, ''), id)",
    // A device without a message is indexed as one of 1970 for the same reason.
    "CREATE INDEX ix_device_states_tenant_id_received_at_device_key ON device_states \
     (tenant_id, COALESCE(received_at, '1970-01-01T00:00:00+00:00'), device_key)",
    // Few devices fail.
    "CREATE INDEX ix_device_states_failing ON device_states (tenant_id, device_key) WHERE is_failing",
    // Most changes are made by users.
    "CREATE INDEX ix_audit_log_tenant_id_api_key_id_id ON audit_log (tenant_id, api_key_id, id) \
     WHERE api_key_id IS NOT NULL",
    "UPDATE device_states SET is_failing = TRUE WHERE EXISTS (SELECT 1 FROM uplinks \
     WHERE uplinks.device_key = device_states.device_key \
     AND uplinks.received_at = device_states.received_at AND uplinks.failure IS NOT NULL)",
];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_failing = boolean("is_failing").default(false).take();
        manager
            .alter_table(
                Table::alter()
                    .table("device_states")
                    .add_column(is_failing)
                    .to_owned(),
            )
            .await?;
        for (table, columns) in INDEXES {
            manager.create_index(index(table, columns)).await?;
        }
        for statement in STATEMENTS {
            manager
                .get_connection()
                .execute_unprepared(statement)
                .await?;
        }
        Ok(())
    }
}
