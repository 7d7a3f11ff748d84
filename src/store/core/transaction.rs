//! Writes, and the only place where transactions begin, commit and roll back.
//!
//! A database may end a transaction by itself, for example when its disk is full. SQLite has then rolled it back by
//! the time the statement fails, and would run each further statement outside any transaction. PostgreSQL refuses
//! further statements but answers a COMMIT without an error. Therefore a transaction in which a statement has failed
//! accepts no further statements and is never committed. [`super::connect`] decides whether its connection is
//! reused.
//!
//! A COMMIT that was sent cannot be undone, so it must not depend on the caller: a separate task awaits it and sends
//! its signals.

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
    demand::{Demand, Demanded},
    failure::{self, Extent},
    patience::Patience,
    signals::{Signals, Then},
    storable,
    writability::Writability,
};
use crate::clock::{self, Time};

/// Connections that write.
#[derive(Clone)]
pub struct Writer {
    pool: DatabaseConnection,
    writability: Writability,
    patience: Patience,
    signals: Arc<Signals>,
    open: Open,
    demand: Demand,
}

impl Writer {
    /// Creates a writer on a pool whose connections follow `writability`; `signals` are notified after commits.
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
            demand: Demand::default(),
        }
    }

    /// Returns the same connections with another timeout.
    pub fn within(&self, bound: impl FnOnce(Patience) -> Patience) -> Self {
        Self {
            patience: bound(self.patience),
            ..self.clone()
        }
    }

    /// Begins a transaction whose commit sends at least these signals.
    pub async fn begin(
        &self,
        then: impl IntoIterator<Item = Then>,
    ) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            // A deferred transaction that reads and then writes fails if another writer comes between.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let demanded = self.demand.enter();
        let begin = async || {
            let beginning = self.pool.begin_with_options(options);
            self.patience.with_acquire().wait(beginning).await
        };
        let begun = match begin().await {
            // A connection that broke while idle has lost nothing yet, and another may work.
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
                demanded,
            }),
            then: Arc::new(Mutex::new(then.into_iter().collect())),
            inner,
            writability: self.writability.clone(),
            patience: self.patience,
            ended: Arc::default(),
            failed: OnceLock::new(),
        })
    }

    /// Returns the start time of this hub's oldest open transaction.
    pub fn oldest_open(&self) -> Option<Time> {
        self.open.oldest()
    }

    /// Returns the number of statements and transactions that have or want a connection.
    pub fn demand(&self) -> usize {
        self.demand.count()
    }

    /// Returns the connections without error tracking.
    pub fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Closes the connections.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.patience.wait(self.pool.close_by_ref()).await
    }

    /// Awaits a statement and records its failure.
    async fn done<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let _demanded = self.demand.enter();
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
        Ok(first(self.query_all_raw(statement).await?))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.done(self.pool.query_all_raw(storable::statement(statement)))
            .await
    }
}

/// Open transactions, with their start times.
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

/// Entry of a transaction among the open ones, removed when dropped.
struct Opened {
    open: Open,
    number: u64,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.open.lock().remove(&self.number);
    }
}

/// Parts of a transaction that a savepoint does not have.
struct Top {
    signals: Arc<Signals>,
    opened: Opened,
    demanded: Demanded,
}

/// Transaction, or a savepoint in one; it is rolled back unless it is committed.
pub struct DatabaseTransaction {
    inner: sea_orm::DatabaseTransaction,
    /// `None` for a savepoint.
    top: Option<Top>,
    /// Signals that follow the commit of the whole transaction; shared with its savepoints.
    then: Arc<Mutex<Vec<Then>>>,
    writability: Writability,
    patience: Patience,
    /// Error with which the database ended the whole transaction; shared with its savepoints.
    ended: Arc<OnceLock<DbErr>>,
    /// Error after which this level can only be rolled back.
    failed: OnceLock<DbErr>,
}

impl DatabaseTransaction {
    /// Begins a savepoint, which can be rolled back alone unless a failure ends the whole transaction.
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

    /// Adds a signal to the commit of the whole transaction.
    pub fn then(&self, then: Then) {
        let mut all = self.then.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(then);
    }

    /// Commits, and sends the signals. If the database does not answer, returns an error, because the outcome is
    /// unknown; the signals are sent anyway, because the commit may have succeeded.
    pub async fn commit(self) -> Result<(), DbErr> {
        if let Err(error) = self.check() {
            self.rollback().await;
            return Err(error);
        }
        let (inner, writability, patience) = (self.inner, self.writability, self.patience);
        let Some(top) = self.top else {
            // If a savepoint could not be released, the state of the whole transaction is unknown.
            let committed = patience.wait(inner.commit()).await;
            return committed.inspect_err(|error| {
                writability.note(error);
                let _ = self.ended.set(error.clone());
            });
        };
        let Top {
            signals,
            opened,
            demanded,
        } = top;
        let all = self.then;
        let committing = async move {
            let committed = patience.wait(inner.commit()).await;
            let then = std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner));
            signals.follow(then, committed.is_ok());
            drop((opened, demanded));
            committed.inspect_err(|error| writability.note(error))
        };
        let committed = tokio::spawn(committing.in_current_span()).await;
        committed.unwrap_or_else(|error| Err(DbErr::Custom(format!("a COMMIT broke off: {error}"))))
    }

    /// Rolls back. If that fails, nothing is left to do: the enclosing transaction is not committed, and its
    /// connection is discarded.
    pub async fn rollback(self) {
        let (writability, ended) = (self.writability, self.ended);
        if ended.get().is_some_and(failure::has_lost_session) {
            // The connection is lost, and the transaction with it: a rollback would get no answer.
            return;
        }
        if let Err(error) = self.patience.wait(self.inner.rollback()).await {
            writability.note(&error);
            let _ = ended.set(error);
        }
    }

    /// Commits if the outcome is a success, otherwise rolls back.
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

    /// Fails if a statement has failed before.
    fn check(&self) -> Result<(), DbErr> {
        match self.ended.get().or(self.failed.get()) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Awaits a statement and records its failure.
    async fn done<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        self.patience.wait(work).await.inspect_err(|error| {
            self.writability.note(error);
            // Only the first error is kept.
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
        Ok(first(self.query_all_raw(statement).await?))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.check()?;
        self.done(self.inner.query_all_raw(storable::statement(statement)))
            .await
    }
}

/// Returns the first row of a statement that has run to its end.
///
/// SQLite returns the rows of `INSERT ... RETURNING` before it checks foreign keys and commits. A statement that ends with
/// the first row would succeed although nothing is stored.
fn first(rows: Vec<QueryResult>) -> Option<QueryResult> {
    rows.into_iter().next()
}

#[cfg(test)]
mod tests;
