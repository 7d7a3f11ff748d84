//! Connections to the two databases, and how each is set.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};

use crate::{config::Config, error::Result};

/// Prepared statements that a connection keeps: the number of rows is part of a multi-row INSERT.
const STATEMENTS_CACHED: usize = 1000;

/// Most readers of a file: reads that wait together share one, so more would only hold memory.
const READERS_MAX: u32 = 4;

/// How many connections read a file.
pub fn readers(config: &Config) -> u32 {
    config.database_connections.min(READERS_MAX)
}

/// A pool of connections to a file.
pub async fn sqlite(url: &str, connections: u32, read_only: bool) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(connections.min(2))
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .create_if_missing(!read_only)
                .read_only(read_only)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(5))
                .statement_cache_capacity(STATEMENTS_CACHED)
                .pragma("cache_size", if read_only { "-2000" } else { "-8000" })
                .optimize_on_close(!read_only, None)
        });
    Ok(Database::connect(options).await?)
}

/// A pool of connections to a server.
pub async fn postgres(url: &str, connections: u32) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .connect_timeout(Duration::from_secs(5))
        .acquire_timeout(Duration::from_secs(5))
        // A connection that broke while idle must not cost a request.
        .test_before_acquire_if_idle_for(Duration::from_secs(1))
        .set_application_name("thingshub")
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(|options| options.statement_cache_capacity(STATEMENTS_CACHED));
    Ok(Database::connect(options).await?)
}
