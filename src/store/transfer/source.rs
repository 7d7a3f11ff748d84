//! Reads all tables of a database in one snapshot: what is committed later is not seen. Reads need no locks that
//! writers wait for, and a table is never in memory as a whole.

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use sea_orm::{
    DatabaseConnection, DbBackend,
    sqlx::{
        self, AssertSqlSafe, Postgres, Row as _, Sqlite, pool::PoolConnection, postgres::PgRow,
        sqlite::SqliteRow,
    },
};
use uuid::Uuid;

use super::{
    blueprint::{Blueprint, Column, Kind, Table},
    cell::{Cell, Digest, Row, Summary},
};
use crate::{
    error::{Error, Result},
    store::core::{
        connect::{self, Purpose},
        file, migrating,
        writability::Writability,
    },
};

/// A snapshot of a database.
pub struct Source {
    pool: DatabaseConnection,
    pub(super) connection: Connection,
    blueprint: Blueprint,
}

pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Source {
    /// Connects and takes the snapshot. The database must have the schema of this program or of an earlier version,
    /// and must not be the target of an unfinished restore or copy.
    pub async fn open(url: &str) -> Result<Self> {
        if let Some(file) = file::path(url) {
            // SQLite's own message does not name the file.
            std::fs::metadata(&file)
                .map_err(|error| Error::internal(format!("{}: {error}", file.display())))?;
        }
        let writability = Writability::new(connect::backend(url));
        let pool = match connect::backend(url) {
            DbBackend::Sqlite => connect::sqlite(url, 1, Purpose::Read, &writability).await?,
            _ => connect::postgres(url, 1, &writability, None).await?,
        };
        let applied = migrating::usable(&pool).await?;
        let mut connection = Connection::acquire(&pool).await?;
        connection.begin_snapshot().await.map_err(Error::internal)?;
        let blueprint = Blueprint::at(applied.len()).await?;
        let mut source = Self {
            pool,
            connection,
            blueprint,
        };
        // SQLite takes the snapshot with the first read.
        source.count("seaql_migrations").await?;
        Ok(source)
    }

    /// Returns the tables.
    pub fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    /// Name of the kind of database.
    pub fn kind(&self) -> &'static str {
        match &self.connection {
            Connection::Sqlite(_) => "sqlite",
            Connection::Postgres(_) => "postgresql",
        }
    }

    /// Returns all rows of a table, in any order.
    pub fn rows<'a>(&'a mut self, table: &'a Table) -> BoxStream<'a, Result<Row>> {
        self.connection.rows(table)
    }

    /// Returns the number of rows of a table and their digest.
    pub async fn summary(&mut self, table: &Table) -> Result<Summary> {
        let mut digest = Digest::default();
        let mut rows = self.rows(table);
        while let Some(row) = rows.try_next().await? {
            digest.add(&row);
        }
        Ok(digest.summary())
    }

    /// Returns the last number that each numbered table has given, so that a restored database never gives the
    /// number of a deleted row again.
    pub async fn numbers(&mut self) -> Result<Vec<(String, i64)>> {
        let mut numbers = Vec::new();
        let tables = self.blueprint.tables.iter();
        for table in tables.filter(|table| table.is_numbered) {
            let name = &table.name;
            let number = match &mut self.connection {
                Connection::Sqlite(connection) => {
                    let query = "SELECT seq FROM sqlite_sequence WHERE name = ?";
                    let query = sqlx::query_scalar::<_, i64>(query).bind(name);
                    query.fetch_optional(&mut **connection).await
                }
                Connection::Postgres(connection) => {
                    let query = format!(
                        "SELECT pg_sequence_last_value(pg_get_serial_sequence('\"{name}\"', 'id')::regclass)"
                    );
                    let query = sqlx::query_scalar::<_, Option<i64>>(AssertSqlSafe(query));
                    query.fetch_one(&mut **connection).await
                }
            };
            if let Some(number) = number.map_err(Error::internal)? {
                numbers.push((name.clone(), number));
            }
        }
        Ok(numbers)
    }

    /// Closes the connection.
    pub async fn close(self) -> Result<()> {
        drop(self.connection);
        Ok(self.pool.close().await?)
    }

    /// Counts the rows of a table or subquery.
    pub(super) async fn count(&mut self, from: &str) -> Result<i64> {
        let query = AssertSqlSafe(format!("SELECT count(*) FROM {from}"));
        let counted = match &mut self.connection {
            Connection::Sqlite(connection) => {
                sqlx::query_scalar(query).fetch_one(&mut **connection).await
            }
            Connection::Postgres(connection) => {
                sqlx::query_scalar(query).fetch_one(&mut **connection).await
            }
        };
        counted.map_err(Error::internal)
    }
}

impl Connection {
    pub(super) async fn acquire(pool: &DatabaseConnection) -> Result<Self> {
        let acquired = match pool.get_database_backend() {
            DbBackend::Postgres => {
                let pool = pool.get_postgres_connection_pool();
                pool.acquire().await.map(Self::Postgres)
            }
            _ => {
                let pool = pool.get_sqlite_connection_pool();
                pool.acquire().await.map(Self::Sqlite)
            }
        };
        acquired.map_err(Error::internal)
    }

    async fn begin_snapshot(&mut self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql("BEGIN")
                .execute(&mut **connection)
                .await
                .map(|_| ()),
            Self::Postgres(connection) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                sqlx::raw_sql(begin)
                    .execute(&mut **connection)
                    .await
                    .map(|_| ())
            }
        }
    }

    pub(super) fn rows<'a>(&'a mut self, table: &'a Table) -> BoxStream<'a, Result<Row>> {
        let is_postgres = matches!(self, Self::Postgres(_));
        let columns = table.columns.iter();
        let columns: Vec<String> = columns
            .map(|column| selected(column, is_postgres))
            .collect();
        let query = format!("SELECT {} FROM \"{}\"", columns.join(", "), table.name);
        let query = AssertSqlSafe(query);
        match self {
            Self::Sqlite(connection) => {
                let rows = sqlx::query(query).fetch(&mut **connection);
                rows.map(|row| of_sqlite(table, &row.map_err(Error::internal)?))
                    .boxed()
            }
            Self::Postgres(connection) => {
                let rows = sqlx::query(query).fetch(&mut **connection);
                rows.map(|row| of_postgres(table, &row.map_err(Error::internal)?))
                    .boxed()
            }
        }
    }
}

fn selected(column: &Column, is_postgres: bool) -> String {
    let name = &column.name;
    match column.kind {
        Kind::Integer if is_postgres => format!("\"{name}\"::bigint"),
        Kind::Json | Kind::Text if is_postgres => format!("\"{name}\"::text"),
        _ => format!("\"{name}\""),
    }
}

/// Decodes a row; a macro, because the traits of the two drivers have no common form that is short.
macro_rules! decode {
    ($table:expr, $row:expr) => {{
        let cells = $table.columns.iter().enumerate().map(|(index, column)| {
            let cell = match column.kind {
                Kind::Integer => $row
                    .try_get_unchecked(index)
                    .map(|value: Option<i64>| value.map(Cell::Integer)),
                Kind::Boolean => $row
                    .try_get_unchecked(index)
                    .map(|value: Option<bool>| value.map(Cell::Boolean)),
                Kind::Text => $row
                    .try_get_unchecked(index)
                    .map(|value: Option<String>| value.map(Cell::Text)),
                Kind::Json => $row
                    .try_get_unchecked(index)
                    .map(|value: Option<String>| value.map(Cell::Json)),
                Kind::Bytes => $row
                    .try_get_unchecked(index)
                    .map(|value: Option<Vec<u8>>| value.map(Cell::Bytes)),
                Kind::Uuid => $row
                    .try_get_unchecked(index)
                    .map(|value: Option<Uuid>| value.map(Cell::Uuid)),
                Kind::Time => $row
                    .try_get_unchecked(index)
                    .map(|value: Option<DateTime<Utc>>| {
                        value.map(|time| Cell::Time(time.timestamp_micros()))
                    }),
            };
            let cell = cell.map_err(|error| {
                let text = format!("{}.{} cannot be read: {error}", $table.name, column.name);
                Error::internal(text)
            });
            cell.map(|cell| cell.unwrap_or(Cell::Null))
        });
        cells.collect()
    }};
}

fn of_sqlite(table: &Table, row: &SqliteRow) -> Result<Row> {
    decode!(table, row)
}

fn of_postgres(table: &Table, row: &PgRow) -> Result<Row> {
    decode!(table, row)
}
