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
    transaction::DatabaseTransaction,
    writability::Writability,
};

/// PostgreSQL advisory lock that a hub holds while it changes the schema.
const SCHEMA_LOCK: i64 = 0x7468_696e_6773_0001;
/// PostgreSQL advisory lock that a hub holds while it fills a new database.
const SEED_LOCK: i64 = 0x7468_696e_6773_0002;
/// Interval at which a hub checks whether another hub has released the lock.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Applies pending migrations. Each step other than the migrations themselves is limited to `within`.
pub async fn up(url: &str, within: Duration) -> Result<(), DbErr> {
    let writability = Writability::new(connect::backend(url));
    let pool = match connect::backend(url) {
        DbBackend::Sqlite => connect::sqlite(url, 1, Purpose::Create, &writability).await?,
        // The lock belongs to a session, so there must be only one.
        _ => connect::postgres(url, 1, &writability, None).await?,
    };
    let migrated = alone(&pool, within).await;
    // Closing the session releases the lock.
    let closed = bounded(within, pool.close()).await;
    migrated.and(closed)
}

async fn alone(pool: &DatabaseConnection, within: Duration) -> Result<(), DbErr> {
    if pool.get_database_backend() == DbBackend::Postgres {
        // A hub that disappeared may hold the lock until the server notices, so the lock is not taken if nothing is
        // pending.
        let pending = Migrator::get_pending_migrations_read_only(pool);
        if bounded(within, pending).await?.is_empty() {
            return Ok(());
        }
        lock(pool, within).await?;
        return Migrator::up(pool, None).await;
    }
    Migrator::up(pool, None).await?;
    connect::forget_statistics(pool).await
}

async fn bounded<T>(
    within: Duration,
    work: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let done = timeout(within, work).await;
    done.unwrap_or_else(|_| {
        let what = format!("the database does not answer within {within:?}");
        Err(DbErr::Custom(what))
    })
}

/// Waits for the lock by polling: a waiting statement would keep an old snapshot of the database open.
async fn lock(pool: &DatabaseConnection, within: Duration) -> Result<(), DbErr> {
    let mut is_told = false;
    loop {
        let ask = format!("SELECT pg_try_advisory_lock({SCHEMA_LOCK})");
        let asked = Statement::from_string(DbBackend::Postgres, ask);
        let answer = bounded(within, pool.query_one_raw(asked)).await?;
        if answer.is_some_and(|row| row.try_get_by_index(0).unwrap_or(false)) {
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
