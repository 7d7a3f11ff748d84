//! The delivery engine: the events that integrations forward, the rules of their queue, their health, and the replays
//! of stored uplinks.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{add_column, index, reference, resource, table};

/// Statements that sea-query cannot express.
const STATEMENTS: [&str; 7] = [
    // A delivery may be about an event other than an uplink.
    "ALTER TABLE deliveries RENAME COLUMN uplink_id TO subject_id",
    // Deliveries in progress are only known to the hub that sends them, no longer to the database.
    "UPDATE deliveries SET state = 'pending' WHERE state = 'sending'",
    "DROP INDEX ix_deliveries_integration_id_due_at",
    // The index contains only waiting deliveries, however many were delivered before.
    "CREATE INDEX ix_deliveries_due ON deliveries (integration_id, due_at, id) \
     WHERE due_at IS NOT NULL",
    // The queue of each device, only for integrations that keep the order of each device.
    "CREATE INDEX ix_deliveries_queue ON deliveries (integration_id, device_id, id) \
     WHERE ordered AND due_at IS NOT NULL",
    "INSERT INTO integration_health (tenant_id, integration_id, delivered, failed, dead) \
     SELECT tenant_id, id, 0, 0, 0 FROM integrations",
    "UPDATE integration_health SET \
     delivered = (SELECT COUNT(*) FROM deliveries WHERE state = 'delivered' \
         AND deliveries.integration_id = integration_health.integration_id), \
     dead = (SELECT COUNT(*) FROM deliveries WHERE state = 'dead' \
         AND deliveries.integration_id = integration_health.integration_id), \
     last_delivered_at = (SELECT MAX(updated_at) FROM deliveries WHERE state = 'delivered' \
         AND deliveries.integration_id = integration_health.integration_id)",
];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            (
                "integrations",
                json_binary("events").default("[\"data\"]").take(),
            ),
            ("integrations", json_binary("delivery").default("{}").take()),
            ("deliveries", string_len("kind", 20).default("data").take()),
            // True if it waits for older deliveries of the device.
            ("deliveries", boolean("ordered").default(false).take()),
            // Number of attempts when the schedule last began.
            ("deliveries", integer("round_start").default(0).take()),
            ("deliveries", text_null("last_answer").take()),
        ];
        for (table, column) in columns {
            add_column(manager, table, column).await?;
        }
        manager.create_table(health()).await?;
        manager.create_table(replays()).await?;
        manager
            .create_index(index("delivery_replays", &["integration_id", "id"]))
            .await?;
        for statement in STATEMENTS {
            manager
                .get_connection()
                .execute_unprepared(statement)
                .await?;
        }
        Ok(())
    }
}

fn health() -> TableCreateStatement {
    table("integration_health")
        .col(big_integer("integration_id").primary_key())
        .col(big_integer("delivered"))
        // Attempts, not deliveries.
        .col(big_integer("failed"))
        .col(big_integer("dead"))
        .col(timestamp_with_time_zone_null("last_delivered_at"))
        .col(timestamp_with_time_zone_null("last_failed_at"))
        .col(integer_null("last_status"))
        .col(text_null("last_error"))
        // Time of the first failed attempt since the last success.
        .col(timestamp_with_time_zone_null("failing_since"))
        .col(timestamp_with_time_zone_null("paused_at"))
        .col(text_null("pause_reason"))
        // The hub that delivers, and the time at which its lease expires unless it is renewed.
        .col(uuid_null("holder"))
        .col(timestamp_with_time_zone_null("held_until"))
        .foreign_key(&mut reference(
            "integration_health",
            "integration_id",
            "integrations",
        ))
        .to_owned()
}

fn replays() -> TableCreateStatement {
    resource("delivery_replays")
        .col(big_integer("integration_id"))
        .col(string_len("state", 20))
        .col(timestamp_with_time_zone("span_from"))
        .col(timestamp_with_time_zone("span_to"))
        .col(string_len_null("device_id", 63))
        // The last uplink that was queued.
        .col(uuid_null("position"))
        .col(big_integer("queued"))
        .col(timestamp_with_time_zone_null("finished_at"))
        .foreign_key(&mut reference(
            "delivery_replays",
            "integration_id",
            "integrations",
        ))
        .to_owned()
}
