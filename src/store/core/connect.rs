//! Connections to the two databases, how each is set, and which is not used again.
//!
//! A connection goes back to its pool when it is outside of any transaction, and the database has not
//! given cause since it was opened to begin anew; every other one is thrown away. SQLite's driver
//! counts transactions by itself: where the database has ended one, it goes on counting it, and what
//! came next on the same connection would be a savepoint in a transaction that nobody commits.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr,
    sqlx::{
        self, Connection,
        pool::PoolConnectionMetadata,
        postgres::{PgConnectOptions, PgConnection},
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};

use tokio::time::timeout;

use super::{
    patience::{ACQUIRE, Bounds},
    writability::Writability,
};
use crate::config::Config;

/// Prepared statements that a connection keeps: the number of rows is part of a multi-row INSERT.
const STATEMENTS_CACHED: usize = 1000;

/// Most readers of a file: reads that wait together share one, so more would only hold memory.
const READERS_MAX: u32 = 4;

/// How long a connection to a server may have been idle to be used without a try.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// How long such a try may take: there must be time left to connect anew.
const PING_WITHIN: Duration = Duration::from_secs(2);

/// How long a connection that comes back may be busy with what nobody waits for.
const RELEASE_WITHIN: Duration = Duration::from_secs(10);

/// How many connections read a file.
pub fn readers(config: &Config) -> u32 {
    config.database_connections.min(READERS_MAX)
}

/// What a connection to a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To make the file, where there is none, and its schema.
    Create,
    /// To write; a file that is no longer there is not made anew, without what was in it.
    Write,
    /// To read.
    Read,
}

/// The kind of the database at this URL.
pub fn backend(url: &str) -> DbBackend {
    match url.starts_with("sqlite:") {
        true => DbBackend::Sqlite,
        false => DbBackend::Postgres,
    }
}

/// A pool of connections to a file.
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
            options
                .create_if_missing(purpose == Purpose::Create)
                .read_only(is_reader)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(5))
                .statement_cache_capacity(STATEMENTS_CACHED)
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

/// Drops what SQLite knows of how many rows its tables have. It learns that only when it is told to, and
/// goes by it for ever: figures of a database that was nearly empty make it read whole tables when it has
/// grown. Without any it goes by the indexes, which are made for the queries.
pub async fn forget_statistics(pool: &DatabaseConnection) -> Result<(), DbErr> {
    for table in ["sqlite_stat1", "sqlite_stat4"] {
        pool.execute_unprepared(&format!("DROP TABLE IF EXISTS {table}"))
            .await?;
    }
    Ok(())
}

/// Whether the log is to have each statement: only who asks for them by name in `log_filter` has them.
fn logs_statements() -> bool {
    tracing::enabled!(target: "sqlx::query", tracing::Level::DEBUG)
}

/// A pool of connections to a server, which ends what takes longer than these bounds; without them, one
/// for what may take long.
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

/// What the server is told of each session, unless the URL says otherwise.
fn with_session(options: PgConnectOptions, bounds: Option<Bounds>) -> PgConnectOptions {
    // A hub that is gone without a word must not hold what others wait for.
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
            // Before the hub gives a connection up that only waits for others.
            ("lock_timeout", bounds.short.as_millis() * 4 / 5),
            ("idle_in_transaction_session_timeout", long),
        ]);
    }
    let own = options.get_options().unwrap_or_default().to_owned();
    options.options(session.into_iter().filter(|(name, _)| !own.contains(name)))
}

/// Whether an idle connection may be used. One that broke or went silent must not cost a request.
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

/// Whether a connection to a server that comes back may be used again. What is under way on it, of
/// somebody who has given up, is waited for only so long: the server ends it by itself.
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

/// Whether a connection that comes back may be used again.
async fn is_good<C: Connection>(
    connection: &mut C,
    met: PoolConnectionMetadata,
    writability: Writability,
) -> Result<bool, sqlx::Error> {
    // The rollback of a transaction that was dropped has only been queued until now.
    connection.ping().await?;
    Ok(!connection.is_in_transaction() && !writability.condemns(met.age))
}
