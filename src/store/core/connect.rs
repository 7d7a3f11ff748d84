//! Connections to both databases: their settings, and the rules for discarding them.
//!
//! A connection returns to its pool if it is outside any transaction and has not been condemned since it was opened;
//! every other one is discarded. SQLite's driver counts transactions itself: if the database has ended one, the
//! driver keeps counting it, and the next transaction on that connection would become a savepoint in a transaction
//! that nobody commits.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbBackend, DbErr,
    sqlx::{
        self, Connection,
        pool::PoolConnectionMetadata,
        postgres::{PgConnectOptions, PgConnection},
        sqlite::{SqliteAutoVacuum, SqliteJournalMode, SqliteSynchronous},
    },
};

use tokio::time::timeout;

use super::{
    patience::{ACQUIRE, Bounds},
    writability::Writability,
};
use crate::config::Config;

/// Prepared statements cached per connection; each number of rows in a multi-row INSERT is its own statement.
const STATEMENTS_CACHED: usize = 1000;

/// Maximum number of rows that a file's driver reads ahead, each of which may be large.
const ROWS_AHEAD: usize = 24;

/// Maximum number of readers of a file. Concurrent reads share one statement, so more readers would only use memory.
const READERS_MAX: u32 = 4;

/// Idle time up to which a connection to a server is used without a ping.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Timeout of that ping; it leaves time to open another connection.
const PING_WITHIN: Duration = Duration::from_secs(2);

/// Maximum time that a returned connection may spend on abandoned work.
const RELEASE_WITHIN: Duration = Duration::from_secs(10);

/// Returns the number of connections that read a file.
pub fn readers(config: &Config) -> u32 {
    config.database_connections.min(READERS_MAX)
}

/// Purpose of a connection to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Creates the file if it is missing, and its schema.
    Create,
    /// Writes. A missing file is an error: creating an empty one would hide the loss of its data.
    Write,
    /// Reads an existing file.
    Read,
}

/// Returns the kind of database at this URL.
pub fn backend(url: &str) -> DbBackend {
    match url.starts_with("sqlite:") {
        true => DbBackend::Sqlite,
        false => DbBackend::Postgres,
    }
}

/// Opens a pool of connections to a file.
pub async fn sqlite(
    url: &str,
    connections: u32,
    purpose: Purpose,
    writability: &Writability,
) -> Result<DatabaseConnection, DbErr> {
    let is_reader = purpose == Purpose::Read;
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(connections.min(2))
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(logs_statements())
        .map_sqlx_sqlite_opts(move |options| {
            let wal = SqliteJournalMode::Wal;
            let options = match purpose {
                // The vacuum has an effect on new files only.
                Purpose::Create => options
                    .journal_mode(wal)
                    .auto_vacuum(SqliteAutoVacuum::Incremental),
                Purpose::Write => options.journal_mode(wal),
                // Cannot change the mode of a file that no hub has opened yet.
                Purpose::Read => options,
            };
            options
                .create_if_missing(purpose == Purpose::Create)
                .read_only(is_reader)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(5))
                .statement_cache_capacity(STATEMENTS_CACHED)
                .row_buffer_size(ROWS_AHEAD)
                .pragma("cache_size", if is_reader { "-2000" } else { "-8000" })
        });
    if !is_reader {
        let writability = writability.clone();
        options.map_sqlx_sqlite_pool_opts(move |options| {
            let writability = writability.clone();
            options.after_release(move |connection, met| {
                Box::pin(is_good(connection, met, writability.clone()))
            })
        });
    }
    Database::connect(options).await
}

/// Returns the number of open connections of a pool, and of those that are idle.
pub fn size(pool: &DatabaseConnection) -> (usize, usize) {
    let (open, idle) = match pool.get_database_backend() {
        DbBackend::Postgres => {
            let pool = pool.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        }
        _ => {
            let pool = pool.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        }
    };
    (usize::try_from(open).unwrap_or(usize::MAX), idle)
}

/// True if statements are logged, which requires `log_filter` to name their target.
fn logs_statements() -> bool {
    tracing::enabled!(target: "sqlx::query", tracing::Level::DEBUG)
}

/// Opens a pool of connections to a server, which ends statements that exceed `bounds`. Without bounds, statements
/// may take any time.
pub async fn postgres(
    url: &str,
    connections: u32,
    writability: &Writability,
    bounds: Option<Bounds>,
) -> Result<DatabaseConnection, DbErr> {
    let (released, idle) = (writability.clone(), writability.clone());
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .connect_timeout(ACQUIRE)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .set_application_name("thingshub")
        .sqlx_logging(logs_statements())
        .map_sqlx_postgres_opts(move |options| {
            let options = options.statement_cache_capacity(STATEMENTS_CACHED);
            with_session(options, bounds)
        })
        .map_sqlx_postgres_before_acquire(move |connection, met| {
            Box::pin(is_alive(connection, met, idle.clone()))
        })
        .map_sqlx_postgres_pool_opts(move |options| {
            let writability = released.clone();
            options.after_release(move |connection, met| {
                Box::pin(is_left_clean(connection, met, writability.clone()))
            })
        });
    Database::connect(options).await
}

/// Adds the session settings that the URL does not set itself.
fn with_session(options: PgConnectOptions, bounds: Option<Bounds>) -> PgConnectOptions {
    // A hub that disappeared without closing its connection must not hold locks that others wait for.
    let mut session = vec![
        ("tcp_keepalives_idle", 30),
        ("tcp_keepalives_interval", 10),
        ("tcp_keepalives_count", 3),
        ("tcp_user_timeout", 60_000),
    ];
    if let Some(bounds) = bounds {
        let long = bounds.long.as_millis();
        session.extend([
            ("statement_timeout", long),
            // Shorter than the hub's own timeout, so that the hub does not discard a connection that only waits for
            // a lock.
            ("lock_timeout", bounds.short.as_millis() * 4 / 5),
            ("idle_in_transaction_session_timeout", long),
        ]);
    }
    let own = options.get_options().unwrap_or_default().to_owned();
    options.options(session.into_iter().filter(|(name, _)| !own.contains(name)))
}

/// True if an idle connection may be used. A connection that broke or went silent must not cost a request.
async fn is_alive(
    connection: &mut PgConnection,
    met: PoolConnectionMetadata,
    writability: Writability,
) -> Result<bool, sqlx::Error> {
    if writability.condemns(met.age) {
        return Ok(false);
    }
    if met.idle_for < TRUSTED_FOR && !writability.doubts(met.idle_for) {
        return Ok(true);
    }
    match timeout(PING_WITHIN, connection.ping()).await {
        Ok(pinged) => pinged.map(|()| true),
        Err(_) => {
            writability.note_silence();
            Ok(false)
        }
    }
}

/// True if a connection returned to a server's pool may be reused. Abandoned work on it is awaited for a limited
/// time only; the server ends it by itself.
async fn is_left_clean(
    connection: &mut PgConnection,
    met: PoolConnectionMetadata,
    writability: Writability,
) -> Result<bool, sqlx::Error> {
    if writability.condemns(met.age) {
        return Ok(false);
    }
    match timeout(RELEASE_WITHIN, is_good(connection, met, writability)).await {
        Ok(is_good) => is_good,
        Err(_) => Ok(false),
    }
}

/// True if a returned connection may be reused.
async fn is_good<C: Connection>(
    connection: &mut C,
    met: PoolConnectionMetadata,
    writability: Writability,
) -> Result<bool, sqlx::Error> {
    // A dropped transaction only queues its rollback; the ping sends it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction() && !writability.condemns(met.age))
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, Statement};

    use super::*;

    /// After a power failure, a file has what was committed only if each commit was written through to the disk.
    #[tokio::test]
    async fn an_sqlite_file_is_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/t.db", folder.path().display());
        let state = Writability::new(DbBackend::Sqlite);
        for purpose in [Purpose::Create, Purpose::Write] {
            let pool = sqlite(&url, 1, purpose, &state).await.unwrap();
            let setting = async |name: &str| {
                let query = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
                let query = Statement::from_string(DbBackend::Sqlite, query);
                let row = pool.query_one_raw(query).await.unwrap().unwrap();
                row.try_get_by_index::<String>(0).unwrap()
            };
            // FULL: with less, the last commits of a WAL are lost in a power failure.
            assert_eq!(setting("synchronous").await, "2", "{purpose:?}");
            assert_eq!(setting("journal_mode").await, "wal", "{purpose:?}");
            assert_eq!(setting("foreign_keys").await, "1", "{purpose:?}");
            pool.close().await.unwrap();
        }
    }
}
