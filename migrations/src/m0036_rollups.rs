//! Rollups of data tables: sums of whole hours, made in the background, and marks of the hours whose rows have changed
//! since.
//!
//! Triggers write the marks, in the transaction that changes rows: no statement can forget them. A row of the current
//! hour leaves none, because its hour is rolled up later.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

use crate::columns::{index, reference, table};

/// Table of the data tables that have rollups.
const ROLLUPS: &str = "data_table_rollups";
/// Columns of the sums. The numbers of the first and the last row have the row's time and key, which order them.
const HOURS: &str = "CREATE TABLE rollup_hours (tenant_id bigint NOT NULL, column_id bigint NOT NULL, \
    hour_s bigint NOT NULL, device_id varchar(63) NOT NULL, numbers bigint NOT NULL, huge bigint NOT NULL, \
    total double precision NOT NULL, mean double precision NOT NULL, squares double precision NOT NULL, \
    low double precision NOT NULL, high double precision NOT NULL, first_number double precision NOT NULL, \
    first_us bigint NOT NULL, first_id KEY NOT NULL, last_number double precision NOT NULL, last_us bigint NOT NULL, \
    last_id KEY NOT NULL, PRIMARY KEY (column_id, hour_s, device_id))";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let rollups = table(ROLLUPS)
            .col(big_integer("data_table_id").primary_key())
            // End of the hours that are rolled up, in seconds since 1970. NULL: none are.
            .col(big_integer_null("until_s"))
            .foreign_key(&mut reference(ROLLUPS, "data_table_id", "data_tables"))
            .to_owned();
        manager.create_table(rollups).await?;
        let columns = table("rollup_columns")
            .col(big_integer("id").auto_increment().primary_key())
            .col(big_integer("data_table_id"))
            // Empty: the rows themselves.
            .col(text("path"))
            // Its hours are being deleted.
            .col(boolean("is_dropped"))
            .foreign_key(&mut reference(
                "rollup_columns",
                "data_table_id",
                "data_tables",
            ))
            .to_owned();
        manager.create_table(columns).await?;
        manager
            .create_index(index("rollup_columns", &["data_table_id"]))
            .await?;
        let marks = table("rollup_marks")
            .col(big_integer("id").auto_increment().primary_key())
            // No references: they would be checked for each mark.
            .col(big_integer("data_table_id"))
            .col(string_len("device_id", 63))
            .col(big_integer("hour_s"))
            .to_owned();
        manager.create_table(marks).await?;
        manager
            .create_index(index("rollup_marks", &["data_table_id", "hour_s"]))
            .await?;
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let hours = match is_postgres {
            true => HOURS.replace("KEY NOT", "uuid NOT"),
            // With rowids: without them, SQLite reads the hours of all devices where one is asked for.
            false => HOURS.replace("KEY NOT", "blob NOT"),
        };
        let connection = manager.get_connection();
        connection.execute_unprepared(&hours).await?;
        manager
            .create_index(index("rollup_hours", &["column_id", "device_id", "hour_s"]))
            .await?;
        let triggers = match is_postgres {
            true => of_postgres(),
            false => of_sqlite(),
        };
        for trigger in triggers {
            connection.execute_unprepared(&trigger).await?;
        }
        Ok(())
    }
}

/// Returns the triggers. Each runs once for a statement, for all of its rows.
fn of_postgres() -> Vec<String> {
    let function = "CREATE OR REPLACE FUNCTION mark_rollups() RETURNS trigger LANGUAGE plpgsql AS $$ \
        DECLARE bound timestamptz := to_timestamp(floor((extract(epoch FROM clock_timestamp()) - 300) / 3600) * 3600); \
        BEGIN \
        INSERT INTO rollup_marks (tenant_id, data_table_id, device_id, hour_s) \
        SELECT DISTINCT tenant_id, data_table_id, device_id, floor(extract(epoch FROM ts) / 3600)::bigint * 3600 \
        FROM changed WHERE ts < bound AND EXISTS (SELECT FROM data_table_rollups AS rollups \
        WHERE rollups.data_table_id = changed.data_table_id); \
        RETURN NULL; END $$";
    let trigger = |name: &str, event: &str, rows: &str| {
        format!(
            "CREATE TRIGGER rollup_{name} AFTER {event} ON data_table_rows REFERENCING {rows} TABLE AS changed \
             FOR EACH STATEMENT EXECUTE FUNCTION mark_rollups()"
        )
    };
    vec![
        function.to_owned(),
        trigger("insert", "INSERT", "NEW"),
        trigger("delete", "DELETE", "OLD"),
        trigger("update_old", "UPDATE", "OLD"),
        trigger("update_new", "UPDATE", "NEW"),
    ]
}

fn of_sqlite() -> Vec<String> {
    let trigger = |name: &str, event: &str, row: &str| {
        format!(
            "CREATE TRIGGER rollup_{name} AFTER {event} ON data_table_rows \
             WHEN substr({row}.ts, 1, 13) < strftime('%Y-%m-%dT%H', 'now', '-5 minutes') AND EXISTS \
             (SELECT 1 FROM data_table_rollups AS rollups WHERE rollups.data_table_id = {row}.data_table_id) \
             BEGIN INSERT INTO rollup_marks (tenant_id, data_table_id, device_id, hour_s) \
             VALUES ({row}.tenant_id, {row}.data_table_id, {row}.device_id, \
             unixepoch(substr({row}.ts, 1, 13) || ':00:00')); END"
        )
    };
    vec![
        trigger("insert", "INSERT", "NEW"),
        trigger("delete", "DELETE", "OLD"),
        trigger("update_old", "UPDATE", "OLD"),
        trigger("update_new", "UPDATE", "NEW"),
    ]
}
