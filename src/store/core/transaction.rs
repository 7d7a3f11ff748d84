//! Where every write goes, and the one place in which transactions begin, are committed and are
//! rolled back.
//!
//! A database ends a transaction by itself when its disk is full, for one. SQLite has rolled it back
//! by the time the statement fails, and would write each statement that follows at once, by itself.
//! PostgreSQL refuses the statements that follow, but answers a COMMIT as if all were well. So a
//! transaction in which a statement has failed takes no other statement and is never committed. What
//! becomes of its connection is decided in [`super::connect`].
//!
//! A COMMIT that was sent cannot be taken back, so its end does not depend on who waits for it: it is
//! awaited, and what must follow it is done, in a task of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    entity::prelude::async_trait::async_trait,
};
use tracing::Instrument;

use super::{
    failure::{self, Extent},
    patience::Patience,
    signals::{Signals, Then},
    storable,
    writability::Writability,
};
use crate::clock::{self, Time};

/// The connections that write.
#[derive(Clone)]
pub struct Writer {
    pool: DatabaseConnection,
    writability: Writability,
    patience: Patience,
    signals: Arc<Signals>,
    open: Open,
}

impl Writer {
    /// Writes through a pool whose connections go by this state; what follows commits, the signals tell.
    pub fn new(
        pool: DatabaseConnection,
        writability: Writability,
        patience: Patience,
        signals: Arc<Signals>,
    ) -> Self {
        Self {
            pool,
            writability,
            patience,
            signals,
            open: Open::default(),
        }
    }

    /// The same connections, for what waits as long as `bound` makes of how long they wait.
    pub fn within(&self, bound: impl FnOnce(Patience) -> Patience) -> Self {
        Self {
            patience: bound(self.patience),
            ..self.clone()
        }
    }

    /// Begins a transaction whose commit is followed by this, at least.
    pub async fn begin(
        &self,
        then: impl IntoIterator<Item = Then>,
    ) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            // Deferred, a read-then-write transaction fails when another writer came between.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let begin = async || {
            let beginning = self.pool.begin_with_options(options);
            self.patience.with_acquire().wait(beginning).await
        };
        let begun = match begin().await {
            // A connection that broke while idle: nothing is lost yet, and another may do.
            Err(error) if failure::has_lost_session(&error) && !failure::is_silence(&error) => {
                self.writability.note_lost_session();
                begin().await
            }
            begun => begun,
        };
        let inner = self.noted(begun)?;
        Ok(DatabaseTransaction {
            top: Some(Top {
                signals: self.signals.clone(),
                opened: self.open.enter(),
            }),
            then: Arc::new(Mutex::new(then.into_iter().collect())),
            inner,
            writability: self.writability.clone(),
            patience: self.patience,
            ended: Arc::default(),
            failed: OnceLock::new(),
        })
    }

    /// When the oldest transaction of this hub that is not at its end was begun.
    pub fn oldest_open(&self) -> Option<Time> {
        self.open.oldest()
    }

    /// The connections, for what knows nothing of outages.
    pub fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Closes the connections.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.patience.wait(self.pool.close_by_ref()).await
    }

    /// Waits for a statement, and takes note of what it fails with.
    async fn done<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        self.noted(self.patience.with_acquire().wait(work).await)
    }

    fn noted<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        outcome.inspect_err(|error| self.writability.note(error))
    }
}

/// Statements that are transactions of their own.
#[async_trait]
impl ConnectionTrait for Writer {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.done(self.pool.execute_raw(storable::statement(statement)))
            .await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.done(self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.done(self.pool.query_one_raw(storable::statement(statement)))
            .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.done(self.pool.query_all_raw(storable::statement(statement)))
            .await
    }
}

/// The transactions that are not at their end, with the times at which they were begun.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<BTreeMap<u64, Time>>>);

impl Open {
    fn enter(&self) -> Opened {
        let mut open = self.lock();
        let number = open.last_key_value().map_or(0, |(last, _)| last + 1);
        open.insert(number, clock::now());
        Opened {
            open: self.clone(),
            number,
        }
    }

    fn oldest(&self) -> Option<Time> {
        self.lock().values().min().copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Time>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction among those that are not at their end.
struct Opened {
    open: Open,
    number: u64,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.open.lock().remove(&self.number);
    }
}

/// What a transaction has and a savepoint has not.
struct Top {
    signals: Arc<Signals>,
    opened: Opened,
}

/// A transaction, or a savepoint in one; it is rolled back unless it is committed.
pub struct DatabaseTransaction {
    inner: sea_orm::DatabaseTransaction,
    /// `None`: a savepoint.
    top: Option<Top>,
    /// What follows the commit of the whole transaction; shared with its savepoints.
    then: Arc<Mutex<Vec<Then>>>,
    writability: Writability,
    patience: Patience,
    /// Why the database has ended the whole transaction; shared with its savepoints.
    ended: Arc<OnceLock<DbErr>>,
    /// Why this level can only be rolled back.
    failed: OnceLock<DbErr>,
}

impl DatabaseTransaction {
    /// Begins a savepoint: what fails in it can be taken back alone, unless it ends the transaction.
    pub async fn begin(&self) -> Result<Self, DbErr> {
        self.check()?;
        Ok(Self {
            inner: self.done(self.inner.begin()).await?,
            top: None,
            then: self.then.clone(),
            writability: self.writability.clone(),
            patience: self.patience,
            ended: self.ended.clone(),
            failed: OnceLock::new(),
        })
    }

    /// Has something follow the commit of the whole transaction.
    pub fn then(&self, then: Then) {
        let mut all = self.then.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(then);
    }

    /// Makes what was done last, and has done what follows. Without an answer of the database, an error:
    /// nobody may be told that it is done; what follows is done all the same, for it may be committed.
    pub async fn commit(self) -> Result<(), DbErr> {
        if let Err(error) = self.check() {
            self.rollback().await;
            return Err(error);
        }
        let (inner, writability, patience) = (self.inner, self.writability, self.patience);
        let Some(top) = self.top else {
            // Whatever kept a savepoint from its end, there is no telling what the transaction holds.
            let committed = patience.wait(inner.commit()).await;
            return committed.inspect_err(|error| {
                writability.note(error);
                let _ = self.ended.set(error.clone());
            });
        };
        let Top { signals, opened } = top;
        let all = self.then;
        let committing = async move {
            let committed = patience.wait(inner.commit()).await;
            let then = std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner));
            signals.follow(then, committed.is_ok());
            drop(opened);
            committed.inspect_err(|error| writability.note(error))
        };
        let committed = tokio::spawn(committing.in_current_span()).await;
        committed.unwrap_or_else(|error| Err(DbErr::Custom(format!("a COMMIT broke off: {error}"))))
    }

    /// Takes back what was done. A rollback that fails leaves nothing to do: what is around it is not
    /// committed, and its connection is thrown away.
    pub async fn rollback(self) {
        let (writability, ended) = (self.writability, self.ended);
        if ended.get().is_some_and(failure::has_lost_session) {
            // The connection is gone, and the transaction with it: nobody would answer.
            return;
        }
        if let Err(error) = self.patience.wait(self.inner.rollback()).await {
            writability.note(&error);
            let _ = ended.set(error);
        }
    }

    /// Makes what was done last, or takes it back if it has failed.
    pub async fn finish<T, E: From<DbErr>>(self, outcome: Result<T, E>) -> Result<T, E> {
        match outcome {
            Ok(value) => {
                self.commit().await?;
                Ok(value)
            }
            Err(error) => {
                self.rollback().await;
                Err(error)
            }
        }
    }

    /// Refuses what comes after a failure.
    fn check(&self) -> Result<(), DbErr> {
        match self.ended.get().or(self.failed.get()) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Waits for a statement, and takes note of what it fails with.
    async fn done<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        self.patience.wait(work).await.inspect_err(|error| {
            self.writability.note(error);
            // The first one counts.
            let _ = match failure::extent(error) {
                Extent::Statement => self.failed.set(error.clone()),
                Extent::Transaction => self.ended.set(error.clone()),
            };
        })
    }
}

#[async_trait]
impl ConnectionTrait for DatabaseTransaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.check()?;
        self.done(self.inner.execute_raw(storable::statement(statement)))
            .await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.check()?;
        self.done(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.check()?;
        self.done(self.inner.query_one_raw(storable::statement(statement)))
            .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.check()?;
        self.done(self.inner.query_all_raw(storable::statement(statement)))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::core::{
        connect::{self, Purpose},
        failure::Outage,
    };
    use tempfile::TempDir;

    const LARGE: &str = "INSERT INTO t VALUES (1, zeroblob(100000))";
    const SMALL: &str = "INSERT INTO t VALUES (2, x'00')";

    /// A database whose only connection has no space for anything large; a new one has.
    async fn full() -> (TempDir, Writability, Writer) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/t.db", folder.path().display());
        let state = Writability::new(DbBackend::Sqlite);
        let pool = connect::sqlite(&url, 1, Purpose::Create, &state).await;
        let writer = Writer::new(
            pool.unwrap(),
            state.clone(),
            Patience::ENDLESS,
            Arc::default(),
        );
        for sql in [
            "CREATE TABLE t (id INTEGER PRIMARY KEY, filler BLOB)",
            "PRAGMA max_page_count = 1",
        ] {
            writer.execute_unprepared(sql).await.unwrap();
        }
        (folder, state, writer)
    }

    async fn rows(writer: &Writer) -> i64 {
        let count = Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM t");
        let row = writer.query_one_raw(count).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// What comes next is written, and is there.
    async fn goes_on(writer: &Writer) {
        let transaction = writer.begin([]).await.unwrap();
        transaction.execute_unprepared(LARGE).await.unwrap();
        transaction.commit().await.unwrap();
        let transaction = writer.begin([]).await.unwrap();
        transaction.execute_unprepared(SMALL).await.unwrap();
        transaction.rollback().await;
        assert_eq!(rows(writer).await, 1);
    }

    #[tokio::test]
    async fn what_the_database_has_ended_takes_nothing_more() {
        let (_folder, state, writer) = full().await;
        let transaction = writer.begin([]).await.unwrap();
        transaction.execute_unprepared(LARGE).await.unwrap_err();
        // It would be written at once.
        transaction.execute_unprepared(SMALL).await.unwrap_err();
        transaction.commit().await.unwrap_err();
        assert_eq!(state.outage(), Some(Outage::DiskFull));
        goes_on(&writer).await;
    }

    #[tokio::test]
    async fn a_savepoint_does_not_outlive_its_transaction() {
        let (_folder, _, writer) = full().await;
        let transaction = writer.begin([]).await.unwrap();
        let savepoint = transaction.begin().await.unwrap();
        savepoint.execute_unprepared(LARGE).await.unwrap_err();
        savepoint.rollback().await;
        transaction.execute_unprepared(SMALL).await.unwrap_err();
        assert!(transaction.begin().await.is_err());
        transaction.rollback().await;
        goes_on(&writer).await;
    }

    #[tokio::test]
    async fn one_that_is_dropped_leaves_nothing_behind() {
        let (_folder, _, writer) = full().await;
        let transaction = writer.begin([]).await.unwrap();
        let savepoint = transaction.begin().await.unwrap();
        savepoint.execute_unprepared(LARGE).await.unwrap_err();
        drop(savepoint);
        drop(transaction);
        goes_on(&writer).await;
    }

    #[tokio::test]
    async fn what_a_savepoint_contains_is_taken_back_alone() {
        let (_folder, state, writer) = full().await;
        let transaction = writer.begin([]).await.unwrap();
        transaction.execute_unprepared(SMALL).await.unwrap();
        let savepoint = transaction.begin().await.unwrap();
        savepoint.execute_unprepared(SMALL).await.unwrap_err();
        savepoint.commit().await.unwrap_err();
        transaction.commit().await.unwrap();
        assert_eq!((rows(&writer).await, state.outage()), (1, None));

        let transaction = writer.begin([]).await.unwrap();
        transaction.execute_unprepared(SMALL).await.unwrap_err();
        // PostgreSQL would answer as if it had committed.
        transaction.commit().await.unwrap_err();
    }
}
