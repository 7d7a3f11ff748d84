//! Imports of rows into data tables: the job, its remaining rows, and the rows that were refused; and fills that
//! replace rows.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{add_column, index, reference, resource, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        const IMPORTS: &str = "data_table_imports";
        const BATCHES: &str = "data_table_import_batches";
        const ROWS: &str = "data_table_import_rows";
        let imports = resource(IMPORTS)
            .col(big_integer("data_table_id"))
            .col(string_len("state", 20))
            .col(string_len("format", 16))
            .col(string_len("encoding", 40))
            // NULL: the format has none.
            .col(string_len_null("delimiter", 1))
            .col(big_integer("rows_total"))
            .col(big_integer("added"))
            .col(big_integer("skipped"))
            .col(big_integer("failed"))
            .col(timestamp_with_time_zone_null("finished_at"))
            .foreign_key(&mut reference(IMPORTS, "data_table_id", "data_tables"))
            .to_owned();
        manager.create_table(imports).await?;
        for columns in [
            &["data_table_id", "id"][..],
            &["tenant_id", "id"],
            &["finished_at"],
        ] {
            manager.create_index(index(IMPORTS, columns)).await?;
        }
        // Each batch is deleted in the transaction that has imported it.
        let batches = table(BATCHES)
            .col(big_integer("import_id"))
            .col(big_integer("first_row"))
            .col(text("rows"))
            .primary_key(Index::create().col("import_id").col("first_row"))
            .foreign_key(&mut reference(BATCHES, "import_id", IMPORTS))
            .to_owned();
        manager.create_table(batches).await?;
        let rows = table(ROWS)
            .col(big_integer("import_id"))
            .col(big_integer("number"))
            .col(big_integer("line"))
            .col(string_len_null("device_id", 63))
            .col(text("error"))
            .primary_key(Index::create().col("import_id").col("number"))
            .foreign_key(&mut reference(ROWS, "import_id", IMPORTS))
            .to_owned();
        manager.create_table(rows).await?;
        let is_replacing = boolean("is_replacing").default(false).take();
        add_column(manager, "data_table_fills", is_replacing).await?;
        let rows_deleted = big_integer("rows_deleted").default(0).take();
        add_column(manager, "data_table_fills", rows_deleted).await
    }
}
