//! Schema migrations, applied by one hub at a time.
//!
//! Migrations use connections of their own, which create a missing file and wait as long as a migration takes. The
//! hub's regular connections must do neither: a file that was deleted while the hub runs must not be replaced by an
//! empty one.

use std::time::Duration;

use migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use tokio::time::{sleep, timeout};

use super::{
    connect::{self, Purpose},
    file, statistics,
    transaction::DatabaseTransaction,
    writability::Writability,
};
use crate::error::{Error, Result};

/// Table of a database that a restore or a copy has not completed.
pub const UNFINISHED: &str = "unfinished_transfer";

/// PostgreSQL advisory lock that a hub holds while it changes the schema.
const SCHEMA_LOCK: i64 = 0x7468_696e_6773_0001;
/// PostgreSQL advisory lock that a hub holds while it fills a new database.
const SEED_LOCK: i64 = 0x7468_696e_6773_0002;
/// Interval at which a hub checks whether another hub has released the lock.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Migrations of a database and of this program.
#[derive(Debug, Default)]
pub struct State {
    /// Migrations of this program that the database has.
    pub applied: Vec<String>,
    /// Migrations of this program that the database lacks.
    pub pending: Vec<String>,
    /// Migrations of the database that this program does not know, because a newer version has applied them.
    pub unknown: Vec<String>,
}

impl State {
    /// Fails if the database is newer than this program.
    pub fn check(&self) -> Result<()> {
        match self.unknown.as_slice() {
            [] => Ok(()),
            unknown => Err(Error::internal(format!(
                "the database was written by a newer version of thingshub: this program, {}, does not know its \
                 migrations {}; use the newer version, or restore a backup",
                env!("CARGO_PKG_VERSION"),
                unknown.join(", ")
            ))),
        }
    }
}

/// Names of all migrations of this program.
pub fn known() -> Vec<String> {
    let migrations = Migrator::migrations();
    migrations.iter().map(|one| one.name().to_owned()).collect()
}

/// Compares the migrations of a database with those of this program.
pub async fn state(pool: &DatabaseConnection) -> Result<State, DbErr> {
    let mut in_database: Vec<String> = Vec::new();
    if has_table(pool, "seaql_migrations").await? {
        let query = "SELECT version FROM seaql_migrations ORDER BY version";
        let query = Statement::from_string(pool.get_database_backend(), query);
        for row in pool.query_all_raw(query).await? {
            in_database.push(row.try_get_by_index(0)?);
        }
    }
    let (applied, pending) = known()
        .into_iter()
        .partition(|name| in_database.contains(name));
    let known = known();
    in_database.retain(|name| !known.contains(name));
    Ok(State {
        applied,
        pending,
        unknown: in_database,
    })
}

/// Returns true if the database has a table of this name.
pub async fn has_table(pool: &DatabaseConnection, name: &str) -> Result<bool, DbErr> {
    let query = match pool.get_database_backend() {
        DbBackend::Postgres => format!(
            "SELECT 1 FROM pg_catalog.pg_class WHERE oid = to_regclass('\"{name}\"') AND relkind IN ('r', 'p')"
        ),
        _ => format!("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{name}'"),
    };
    let query = Statement::from_string(pool.get_database_backend(), query);
    Ok(pool.query_one_raw(query).await?.is_some())
}

/// Fails if the database is newer than this program or incomplete; returns the migrations that it has.
pub async fn usable(pool: &DatabaseConnection) -> Result<Vec<String>> {
    if has_table(pool, UNFINISHED).await? {
        return Err(Error::internal(
            "a restore or copy into this database was interrupted: repeat that command, or use another database",
        ));
    }
    let state = state(pool).await?;
    state.check()?;
    Ok(state.applied)
}

/// Returns the names of the pending migrations. Changes nothing and creates no file.
pub async fn plan(url: &str) -> Result<Vec<String>> {
    let writability = Writability::new(connect::backend(url));
    let pool = match connect::backend(url) {
        DbBackend::Sqlite if file::path(url).is_some_and(|file| !file.exists()) => {
            return Ok(known());
        }
        DbBackend::Sqlite => connect::sqlite(url, 1, Purpose::Read, &writability).await?,
        _ => connect::postgres(url, 1, &writability, None).await?,
    };
    let planned = async {
        usable(&pool).await?;
        Ok(state(&pool).await?.pending)
    };
    let planned = planned.await;
    pool.close().await?;
    planned
}

/// Takes the lock of the schema for a session, if it is free.
pub async fn try_lock(pool: &DatabaseConnection) -> Result<()> {
    match pool.get_database_backend() == DbBackend::Sqlite || is_locked(pool).await? {
        true => Ok(()),
        false => Err(Error::internal(
            "a hub or another command changes the schema of the database",
        )),
    }
}

async fn is_locked(pool: &DatabaseConnection) -> Result<bool, DbErr> {
    let ask = format!("SELECT pg_try_advisory_lock({SCHEMA_LOCK})");
    let asked = Statement::from_string(DbBackend::Postgres, ask);
    let answer = pool.query_one_raw(asked).await?;
    Ok(answer.is_some_and(|row| row.try_get_by_index(0).unwrap_or(false)))
}

/// Applies pending migrations. Each step other than the migrations themselves is limited to `within`.
pub async fn up(url: &str, within: Duration) -> Result<()> {
    let writability = Writability::new(connect::backend(url));
    let pool = match connect::backend(url) {
        DbBackend::Sqlite => connect::sqlite(url, 1, Purpose::Create, &writability).await?,
        // The lock belongs to a session, so there must be only one.
        _ => connect::postgres(url, 1, &writability, None).await?,
    };
    let migrated = alone(&pool, within).await;
    // Closing the session releases the lock.
    let closed = bounded(within, pool.close()).await;
    migrated.and(closed.map_err(Error::from))
}

async fn alone(pool: &DatabaseConnection, within: Duration) -> Result<()> {
    let usable = timeout(within, usable(pool)).await;
    usable.unwrap_or_else(|_| Err(silent(within).into()))?;
    if pool.get_database_backend() == DbBackend::Postgres {
        // A hub that disappeared may hold the lock until the server notices, so the lock is not taken if nothing is
        // pending.
        let pending = Migrator::get_pending_migrations_read_only(pool);
        if bounded(within, pending).await?.is_empty() {
            return Ok(());
        }
        lock(pool, within).await?;
        return Ok(Migrator::up(pool, None).await?);
    }
    Migrator::up(pool, None).await?;
    if let Err(error) = statistics::assume(pool).await {
        // A hub must start on a full disk, too.
        tracing::warn!("SQLite's statistics stay as they are: {error}");
    }
    Ok(())
}

async fn bounded<T>(
    within: Duration,
    work: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let done = timeout(within, work).await;
    done.unwrap_or_else(|_| Err(silent(within)))
}

fn silent(within: Duration) -> DbErr {
    DbErr::Custom(format!("the database does not answer within {within:?}"))
}

/// Waits for the lock by polling: a waiting statement would keep an old snapshot of the database open.
async fn lock(pool: &DatabaseConnection, within: Duration) -> Result<(), DbErr> {
    let mut is_told = false;
    loop {
        if bounded(within, is_locked(pool)).await? {
            return Ok(());
        }
        if !is_told {
            is_told = true;
            tracing::info!("another hub brings the schema up to date: waiting for it");
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Lets one hub at a time check whether the database is empty and fill it; holds until the transaction ends.
pub async fn lock_seed(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        let lock = format!("SELECT pg_advisory_xact_lock({SEED_LOCK})");
        transaction.execute_unprepared(&lock).await?;
    }
    Ok(())
}
