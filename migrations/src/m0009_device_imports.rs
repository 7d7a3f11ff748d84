//! Imports of devices: the job, its remaining rows, and the outcome of each row.

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
                resource("device_imports")
                    .col(string_len("state", 16))
                    .col(string_len("format", 16))
                    .col(string_len("on_existing", 16))
                    // The user or key that began it, for the audit log.
                    .col(json_binary("author"))
                    .col(big_integer("rows_total"))
                    .col(big_integer("created"))
                    .col(big_integer("updated"))
                    .col(big_integer("skipped"))
                    .col(big_integer("failed"))
                    .col(timestamp_with_time_zone_null("finished_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("device_imports", &["tenant_id", "id"]))
            .await?;
        manager
            .create_index(index("device_imports", &["state"]))
            .await?;
        // Batches of some hundred rows; each is deleted in the transaction that has imported it.
        manager
            .create_table(
                table("device_import_batches")
                    .col(big_integer("import_id"))
                    .col(big_integer("first_row"))
                    .col(text("rows"))
                    .primary_key(Index::create().col("import_id").col("first_row"))
                    .foreign_key(&mut reference(
                        "device_import_batches",
                        "import_id",
                        "device_imports",
                    ))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("device_import_rows")
                    .col(big_integer("import_id"))
                    .col(big_integer("number"))
                    .col(string_len_null("device_id", 63))
                    .col(string_len("outcome", 16))
                    .col(text_null("error"))
                    .primary_key(Index::create().col("import_id").col("number"))
                    .foreign_key(&mut reference(
                        "device_import_rows",
                        "import_id",
                        "device_imports",
                    ))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index(
                "device_import_rows",
                &["import_id", "outcome", "number"],
            ))
            .await
    }
}
