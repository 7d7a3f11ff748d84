//! A database that is being filled. It has a table that says so until it is complete: no hub starts on it, and the
//! command that was interrupted can be repeated.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::{
    blueprint::{Blueprint, DERIVED, Table},
    cell::{Digest, Row, Summary},
    insert,
    source::Connection,
};
use crate::{
    error::{Error, Result},
    store::core::{
        connect, file,
        migrating::{self, UNFINISHED},
        statistics,
        writability::Writability,
    },
};

/// Maximum number of rows per transaction.
const BATCH_ROWS: usize = 1_000;
/// Maximum size of the rows of a transaction, unless a single row is larger.
const BATCH_BYTES: usize = 4 << 20;

/// Reason for filling a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A restore of a backup.
    Restore,
    /// A copy of another database.
    Copy,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Copy => "copy",
        }
    }
}

/// State of a target before it is filled.
#[derive(Debug)]
pub enum Found {
    /// There is no data.
    Empty,
    /// A restore or copy was interrupted.
    Begun(Begun),
    /// There is data.
    Data,
}

/// State of an interrupted restore or copy.
#[derive(Debug, Default)]
pub struct Begun {
    /// True if it was a copy.
    pub is_copy: bool,
    /// Number of migrations of its source.
    pub level: usize,
    /// The complete tables.
    pub done: BTreeMap<String, String>,
}

/// A database that is being filled.
pub struct Target {
    pool: DatabaseConnection,
    batch: Vec<Row>,
    bytes: usize,
}

impl Target {
    /// Connects; creates the file of an SQLite database.
    pub async fn open(url: &str) -> Result<Self> {
        let writability = Writability::new(connect::backend(url));
        let pool = match connect::backend(url) {
            DbBackend::Sqlite => {
                if let Some(file) = file::path(url) {
                    file::prepare(&file)
                        .map_err(|error| Error::internal(format!("{}: {error}", file.display())))?;
                }
                connect::sqlite(url, 1, connect::Purpose::Create, &writability).await?
            }
            _ => connect::postgres(url, 1, &writability, None).await?,
        };
        migrating::try_lock(&pool).await?;
        Ok(Self {
            pool,
            batch: Vec::new(),
            bytes: 0,
        })
    }

    /// Finds out if the database is empty.
    pub async fn find(&self) -> Result<Found> {
        if migrating::has_table(&self.pool, UNFINISHED).await? {
            return Ok(Found::Begun(self.begun().await?));
        }
        let state = migrating::state(&self.pool).await?;
        if !state.unknown.is_empty() {
            return Ok(Found::Data);
        }
        for table in ["users", "tenants"] {
            // The migrations create a tenant without users.
            let query = match table {
                "tenants" => "SELECT id FROM tenants WHERE id <> 0 LIMIT 1",
                _ => "SELECT id FROM users LIMIT 1",
            };
            if migrating::has_table(&self.pool, table).await? {
                let query = Statement::from_string(self.pool.get_database_backend(), query);
                if self.pool.query_one_raw(query).await?.is_some() {
                    return Ok(Found::Data);
                }
            }
        }
        Ok(Found::Empty)
    }

    async fn begun(&self) -> Result<Begun> {
        let query = format!("SELECT name, content FROM {UNFINISHED}");
        let query = Statement::from_string(self.pool.get_database_backend(), query);
        let mut begun = Begun::default();
        for row in self.pool.query_all_raw(query).await? {
            let name: String = row.try_get_by_index(0)?;
            let content: String = row.try_get_by_index(1)?;
            match name.as_str() {
                "purpose" => begun.is_copy = content == Purpose::Copy.word(),
                "level" => begun.level = content.parse().unwrap_or_default(),
                _ => {
                    if let Some(table) = name.strip_prefix("table ") {
                        begun.done.insert(table.to_owned(), content);
                    }
                }
            }
        }
        Ok(begun)
    }

    /// Begins anew: from now on the database is incomplete. Removes what an interrupted attempt has left.
    pub async fn begin(&self, purpose: Purpose, blueprint: &Blueprint) -> Result<()> {
        let level = blueprint.migrations.len();
        self.run(&format!(
            "CREATE TABLE IF NOT EXISTS {UNFINISHED} (name varchar(200) NOT NULL PRIMARY KEY, content text NOT NULL)"
        ))
        .await?;
        self.run(&format!("DELETE FROM {UNFINISHED}")).await?;
        self.note("purpose", purpose.word()).await?;
        for table in DERIVED {
            self.run(&format!("DROP TABLE IF EXISTS {table}")).await?;
        }
        for table in Blueprint::newest().await?.tables.iter().rev() {
            self.run(&format!("DROP TABLE IF EXISTS \"{}\"", table.name))
                .await?;
        }
        for table in blueprint.tables.iter().rev() {
            self.run(&format!("DROP TABLE IF EXISTS \"{}\"", table.name))
                .await?;
        }
        self.run("DROP TABLE IF EXISTS seaql_migrations").await?;
        Migrator::up(&self.pool, Some(u32::try_from(level).unwrap_or(u32::MAX))).await?;
        // The migrations insert rows, which the source has as well.
        for table in blueprint.tables.iter().rev() {
            self.clear(table).await?;
        }
        // Last, because a copy goes on from here only if the tables exist.
        self.note("level", &level.to_string()).await
    }

    /// Deletes the rows of a table to which no other row refers.
    pub async fn clear(&self, table: &Table) -> Result<()> {
        self.run(&format!("DELETE FROM \"{}\"", table.name)).await
    }

    /// Inserts a row, together with others.
    pub async fn insert(&mut self, table: &Table, row: Row, bytes: usize) -> Result<()> {
        self.batch.push(row);
        self.bytes += bytes;
        match self.batch.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            true => self.flush(table).await,
            false => Ok(()),
        }
    }

    /// Inserts the rows that are left of a table.
    pub async fn flush(&mut self, table: &Table) -> Result<()> {
        let mut connection = Connection::acquire(&self.pool).await?;
        insert::rows(&mut connection, table, &self.batch).await?;
        self.batch.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Notes that a table is complete.
    pub async fn note_done(&self, table: &Table, summary: &Summary) -> Result<()> {
        let name = format!("table {}", table.name);
        self.note(&name, &summary.to_string()).await
    }

    /// Reads a table back.
    pub async fn summary(&self, table: &Table) -> Result<Summary> {
        let mut connection = Connection::acquire(&self.pool).await?;
        let mut digest = Digest::default();
        let mut rows = connection.rows(table);
        while let Some(row) = rows.try_next().await? {
            digest.add(&row);
        }
        Ok(digest.summary())
    }

    /// Continues the numbers of rows, brings the schema up to date, and declares the database complete.
    pub async fn finish(&self, blueprint: &Blueprint, numbers: &[(String, i64)]) -> Result<()> {
        for table in blueprint.tables.iter().filter(|table| table.is_numbered) {
            let last = numbers.iter().find(|(name, _)| *name == table.name);
            self.continue_numbers(&table.name, last.map_or(0, |(_, last)| *last))
                .await?;
        }
        Migrator::up(&self.pool, None).await?;
        match self.pool.get_database_backend() {
            DbBackend::Postgres => self.run("ANALYZE").await?,
            _ => statistics::assume(&self.pool).await?,
        }
        self.run(&format!("DROP TABLE {UNFINISHED}")).await
    }

    async fn continue_numbers(&self, table: &str, last: i64) -> Result<()> {
        if self.pool.get_database_backend() == DbBackend::Postgres {
            let statement = format!(
                "SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), n) FROM \
                 (SELECT greatest({last}, max(id)) AS n FROM \"{table}\") AS numbers WHERE n > 0"
            );
            return self.run(&statement).await;
        }
        // SQLite itself counts the greatest id that was inserted.
        let insert = format!(
            "INSERT INTO sqlite_sequence (name, seq) SELECT '{table}', 0 \
             WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = '{table}')"
        );
        self.run(&insert).await?;
        let update =
            format!("UPDATE sqlite_sequence SET seq = max(seq, {last}) WHERE name = '{table}'");
        self.run(&update).await
    }

    /// Closes the connection, which also releases the lock.
    pub async fn close(self) -> Result<()> {
        Ok(self.pool.close().await?)
    }

    /// Stores a line of progress; neither name nor content has quotes.
    async fn note(&self, name: &str, content: &str) -> Result<()> {
        self.run(&format!("DELETE FROM {UNFINISHED} WHERE name = '{name}'"))
            .await?;
        self.run(&format!(
            "INSERT INTO {UNFINISHED} VALUES ('{name}', '{content}')"
        ))
        .await
    }

    async fn run(&self, statement: &str) -> Result<()> {
        self.pool.execute_unprepared(statement).await?;
        Ok(())
    }
}
