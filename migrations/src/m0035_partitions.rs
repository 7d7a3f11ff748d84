//! Partitions of uplinks and events on PostgreSQL, by ranges of their ids, which sort by time.
//!
//! No row is copied: the table that there is becomes the partition of all ids before a bound some days ahead. Others
//! wait for milliseconds only. A statement that would wait longer for its locks is repeated, and rows are compared with
//! the bound while the table is in use. Each step finds out if an interrupted attempt has done it.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{DbBackend, Statement},
};

/// Tables that get partitions.
const TABLES: [&str; 2] = ["uplinks", "events"];
/// Attempts to get the locks, with half a second between them: a backup holds some of them as long as it reads.
const ATTEMPTS: usize = 3600;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        // Locks must not be held while rows are compared with the bound.
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        for table in TABLES {
            if !holds(manager, &is_parted(table)).await? {
                convert(manager, table).await?;
            }
        }
        Ok(())
    }
}

async fn convert(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    // An earlier bound may be in the past by now.
    let unbound = format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_bound");
    until(
        manager,
        &with_locks(&unbound),
        &format!("NOT {}", has_bound(table)),
    )
    .await?;
    until(manager, &with_locks(&bind(table)), &has_bound(table)).await?;
    let converted = async {
        let beyond = format!(
            "EXISTS (SELECT FROM {table} WHERE NOT id < {})",
            bound(table)
        );
        // Ids of clocks that are far ahead are rare: the exchange moves them, and compares all rows with the bound.
        if !holds(manager, &beyond).await? {
            let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {table}_bound");
            manager
                .get_connection()
                .execute_unprepared(&validate)
                .await?;
        }
        until(manager, &with_locks(&exchange(table)), &is_parted(table)).await
    };
    let converted = converted.await;
    if converted.is_err() {
        // Otherwise a hub of the last version could not insert rows any more after some days.
        let unbind = with_locks(&unbound);
        let _ = manager.get_connection().execute_unprepared(&unbind).await;
    }
    converted
}

/// Repeats a statement until the condition holds.
async fn until(manager: &SchemaManager<'_>, statement: &str, condition: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    for _ in 0..ATTEMPTS {
        connection.execute_unprepared(statement).await?;
        if holds(manager, condition).await? {
            return Ok(());
        }
        connection
            .execute_unprepared("SELECT pg_sleep(0.5)")
            .await?;
    }
    Err(DbErr::Migration(
        "a transaction of another program keeps uplinks or events locked: end it, and start again"
            .to_owned(),
    ))
}

async fn holds(manager: &SchemaManager<'_>, condition: &str) -> Result<bool, DbErr> {
    let query = Statement::from_string(DbBackend::Postgres, format!("SELECT {condition}"));
    let row = manager.get_connection().query_one_raw(query).await?;
    row.map_or(Ok(false), |row| row.try_get_by_index(0))
}

fn is_parted(table: &str) -> String {
    format!("EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('{table}') AND relkind = 'p')")
}

fn has_bound(table: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass('{table}') AND conname = '{table}_bound')"
    )
}

/// The bound, as the constraint has it.
fn bound(table: &str) -> String {
    format!(
        "(SELECT substring(pg_get_constraintdef(oid) FROM '[0-9a-f]{{8}}-[0-9a-f-]{{27}}')::uuid FROM pg_constraint \
         WHERE conrelid = to_regclass('{table}') AND conname = '{table}_bound')"
    )
}

/// A block that does nothing if it does not get its locks soon.
fn with_locks(statements: &str) -> String {
    format!(
        "DO $$ DECLARE bound uuid; item record; statement text; statements text[]; BEGIN \
         PERFORM set_config('lock_timeout', '200ms', true); {statements}; \
         EXCEPTION WHEN lock_not_available THEN NULL; END $$"
    )
}

/// Keeps ids below a day two weeks ahead, which leaves time to repeat an interrupted migration.
fn bind(table: &str) -> String {
    format!(
        "bound := (lpad(to_hex((extract(epoch FROM date_trunc('day', now() AT TIME ZONE 'UTC') \
         + interval '14 days') * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid; \
         EXECUTE format('ALTER TABLE {table} ADD CONSTRAINT {table}_bound CHECK (id < %L) NOT VALID', bound)"
    )
}

/// Puts a table with partitions in the place of the table that there is, with the same indexes and references, and
/// makes that one its first partition. A default partition has the ids that are in no other one.
fn exchange(table: &str) -> String {
    let bound = bound(table);
    format!(
        "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; bound := {bound}; \
         SELECT coalesce(array_agg(pg_get_indexdef(indexrelid)), '{{}}') INTO statements FROM pg_index \
         WHERE indrelid = to_regclass('{table}') AND NOT indisprimary; \
         SELECT statements || coalesce(array_agg(format('ALTER TABLE {table} ADD CONSTRAINT %I %s', conname, \
         pg_get_constraintdef(oid))), '{{}}') INTO statements FROM pg_constraint \
         WHERE conrelid = to_regclass('{table}') AND contype = 'f'; \
         FOR item IN SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid \
         WHERE indrelid = to_regclass('{table}') LOOP \
         EXECUTE format('ALTER INDEX %I RENAME TO %I', item.relname, item.relname || '_before'); END LOOP; \
         ALTER TABLE {table} RENAME TO {table}_before; \
         CREATE TABLE {table} (LIKE {table}_before INCLUDING DEFAULTS, CONSTRAINT {table}_pkey PRIMARY KEY (id)) \
         PARTITION BY RANGE (id); \
         CREATE TABLE {table}_default (LIKE {table}_before INCLUDING DEFAULTS); \
         INSERT INTO {table}_default SELECT * FROM {table}_before WHERE NOT id < bound; \
         DELETE FROM {table}_before WHERE NOT id < bound; \
         FOREACH statement IN ARRAY statements LOOP EXECUTE statement; END LOOP; \
         EXECUTE format('ALTER TABLE {table} ATTACH PARTITION {table}_before FOR VALUES FROM (MINVALUE) TO (%L)', bound); \
         ALTER TABLE {table} ATTACH PARTITION {table}_default DEFAULT; \
         ALTER TABLE {table}_before DROP CONSTRAINT {table}_bound"
    )
}
