//! Scheduled exports of data tables, and the log of their runs.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{index, reference, resource, unique};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        const EXPORTS: &str = "scheduled_exports";
        const RUNS: &str = "export_runs";
        let exports = resource(EXPORTS)
            .col(big_integer("revision").default(1))
            .col(big_integer("data_table_id"))
            .col(string_len("name", 120))
            .col(boolean("enabled"))
            .col(boolean("include_existing_rows"))
            .col(json_binary("file"))
            .col(string_len("schedule", 200))
            .col(string_len("timezone", 60))
            .col(string_len("kind", 40))
            .col(json_binary("settings"))
            // Encrypted; never leaves the hub but in the connections it is for.
            .col(binary_null("secret"))
            // NULL while it is disabled.
            .col(timestamp_with_time_zone_null("next_run_at"))
            // Rows up to this id are exported; NULL for none.
            .col(uuid_null("position"))
            // Number of the last run.
            .col(big_integer("runs"))
            .col(timestamp_with_time_zone_null("last_success_at"))
            .foreign_key(&mut reference(EXPORTS, "data_table_id", "data_tables"))
            .to_owned();
        manager.create_table(exports).await?;
        manager
            .create_index(unique(EXPORTS, &["data_table_id", "name"]))
            .await?;
        manager
            .create_index(index(EXPORTS, &["tenant_id", "id"]))
            .await?;
        manager
            .create_index(index(EXPORTS, &["next_run_at"]))
            .await?;
        let runs = resource(RUNS)
            .col(big_integer("export_id"))
            .col(big_integer("number"))
            .col(string_len("state", 20))
            .col(string_len("cause", 20))
            // The ids of the rows are greater than the first and not greater than the second one.
            .col(uuid_null("after_id"))
            .col(uuid("until_id"))
            .col(timestamp_with_time_zone_null("window_from"))
            .col(timestamp_with_time_zone("window_to"))
            .col(string_len("file_name", 300))
            .col(json_binary("file"))
            .col(big_integer_null("row_count"))
            .col(big_integer_null("byte_count"))
            .col(integer("attempts"))
            // Number of attempts since a client or the schedule last began it.
            .col(integer("round"))
            .col(text_null("error"))
            // Time of the next attempt; NULL if there is none.
            .col(timestamp_with_time_zone_null("due_at"))
            .col(timestamp_with_time_zone_null("finished_at"))
            .foreign_key(&mut reference(RUNS, "export_id", EXPORTS))
            .to_owned();
        manager.create_table(runs).await?;
        manager
            .create_index(unique(RUNS, &["export_id", "number"]))
            .await?;
        manager.create_index(index(RUNS, &["due_at"])).await?;
        manager.create_index(index(RUNS, &["finished_at"])).await
    }
}
