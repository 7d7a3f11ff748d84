//! Versions of drivers contain more than a script and are identified by the digest of their whole content;
//! the history of tags is kept.
//!
//! Stored drivers stay as they are: an existing version consists only of its script, and gets the digest
//! that a push of that script gets from now on. Tags keep their versions, and devices their drivers.

use sea_orm_migration::{
    prelude::*,
    schema::*,
    sea_orm::{DbBackend, Statement, TryGetable},
};
use sha2::{Digest, Sha256};

use crate::columns::{add_column, reference, table};

/// Versions whose digest is computed at a time.
const BATCH: usize = 1000;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        widen(manager).await?;
        let versions = "driver_versions";
        // The sandbox knows a script by its own digest, which leaves out the other parts of the version.
        add_column(
            manager,
            versions,
            string_len("script_digest", 64).default("").take(),
        )
        .await?;
        add_column(manager, versions, text_null("schema")).await?;
        add_column(manager, versions, text_null("examples")).await?;
        add_column(
            manager,
            versions,
            big_integer("size_bytes").default(0).take(),
        )
        .await?;
        add_column(
            manager,
            "driver_tags",
            big_integer("revision").default(1).take(),
        )
        .await?;
        manager
            .create_table(
                table("driver_tag_moves")
                    .col(big_integer("driver_id"))
                    .col(string_len("tag", 63))
                    .col(big_integer("revision"))
                    // NULL: the tag was deleted. Not the version itself, which may be gone by now.
                    .col(string_len_null("digest", 71))
                    .col(timestamp_with_time_zone("moved_at"))
                    // NULL: moved before anybody wrote it down.
                    .col(string_len_null("moved_by", 120))
                    .primary_key(Index::create().col("driver_id").col("tag").col("revision"))
                    .foreign_key(&mut reference("driver_tag_moves", "driver_id", "drivers"))
                    .to_owned(),
            )
            .await?;
        let connection = manager.get_connection();
        connection
            .execute_unprepared(
                "UPDATE driver_versions SET script_digest = digest, size_bytes = OCTET_LENGTH(script)",
            )
            .await?;
        give_digests(manager).await?;
        connection
            .execute_unprepared(
                "INSERT INTO driver_tag_moves (tenant_id, driver_id, tag, revision, digest, moved_at, moved_by) \
                 SELECT t.tenant_id, t.driver_id, t.name, 1, v.digest, t.updated_at, NULL \
                 FROM driver_tags t JOIN driver_versions v ON v.id = t.version_id",
            )
            .await?;
        Ok(())
    }
}

/// A digest has a prefix now, in a version and in what pins a device to one. SQLite does not enforce
/// lengths, nor can it change them.
async fn widen(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    for (table, column) in [
        ("driver_versions", string_len("digest", 71)),
        ("devices", string_len_null("driver", 199)),
    ] {
        manager
            .alter_table(Table::alter().table(table).modify_column(column).to_owned())
            .await?;
    }
    Ok(())
}

/// The digest of a version is that of its manifest, which for a script alone is this. It must not
/// change with the hub's own code, so it is written out here.
async fn give_digests(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let backend = manager.get_database_backend();
    let mut last = 0_i64;
    loop {
        let select = format!(
            "SELECT id, script_digest FROM driver_versions WHERE id > {last} ORDER BY id LIMIT {BATCH}"
        );
        let rows = connection
            .query_all_raw(Statement::from_string(backend, select))
            .await?;
        for row in &rows {
            last = i64::try_get(row, "", "id")?;
            let script = String::try_get(row, "", "script_digest")?;
            let manifest = format!(r#"{{"script":"sha256:{script}"}}"#);
            let digest = format!("sha256:{}", hex::encode(Sha256::digest(manifest)));
            // Neither value needs quoting: both are hexadecimal digits.
            let update =
                format!("UPDATE driver_versions SET digest = '{digest}' WHERE id = {last}");
            connection.execute_unprepared(&update).await?;
        }
        if rows.len() < BATCH {
            return Ok(());
        }
    }
}
