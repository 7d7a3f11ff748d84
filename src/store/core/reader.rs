//! Connection for reads outside transactions.
//!
//! A server ends its sessions when it restarts, and a proxy may end them at any time. The hub notices on the next
//! use and repeats the read once over another connection.

use futures_util::StreamExt;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    StreamTrait, entity::prelude::async_trait::async_trait,
};

use super::{
    demand::Demand,
    failure,
    part::{Part, Ration, RowOf, Rows},
    patience::Patience,
    storable,
    writability::Writability,
};

/// Connections that read.
#[derive(Clone)]
pub struct Reader {
    pool: DatabaseConnection,
    writability: Writability,
    patience: Patience,
    demand: Demand,
}

/// Evaluates the call, a second time if the session was lost.
macro_rules! read {
    ($self:ident, $call:expr) => {{
        let _demanded = $self.demand.enter();
        match $self.patience.with_acquire().wait($call).await {
            Err(error) if $self.may_repeat(&error) => {
                $self.noted($self.patience.with_acquire().wait($call).await)
            }
            outcome => outcome,
        }
    }};
}

impl Reader {
    /// Creates a reader on a pool whose connections follow `writability`.
    pub fn new(pool: DatabaseConnection, writability: Writability, patience: Patience) -> Self {
        Self {
            pool,
            writability,
            patience,
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

    /// Returns the number of reads that have or want a connection.
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

    /// True if the failed read is worth another attempt: its session has ended, and others may not have. A silent
    /// connection has already used up the caller's time, so its read is not repeated.
    fn may_repeat(&self, error: &DbErr) -> bool {
        if failure::is_silence(error) {
            self.writability.note(error);
            return false;
        }
        let may_repeat = failure::has_lost_session(error);
        if may_repeat {
            self.writability.note_lost_session();
        }
        may_repeat
    }

    /// Reads the first rows of a query: those of the ration, and one beyond it if there is one.
    pub(in crate::store) async fn first_rows<Q: Rows>(
        &self,
        query: Q,
        ration: Ration,
    ) -> Result<Part<RowOf<Q>>, DbErr> {
        let statement = storable::statement(query.build(self.get_database_backend()));
        let part = read!(self, self.first_rows_now(statement.clone(), ration))?;
        part.read::<Q::Selector>()
    }

    async fn first_rows_now(
        &self,
        statement: Statement,
        ration: Ration,
    ) -> Result<Part<QueryResult>, DbErr> {
        let mut part = Part::default();
        let mut rows = self.pool.stream_raw(statement).await?;
        while let Some(row) = rows.next().await {
            if !part.add(row?, ration) {
                break;
            }
        }
        Ok(part)
    }

    fn noted<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        outcome.inspect_err(|error| self.writability.note(error))
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let statement = storable::statement(statement);
        read!(self, self.pool.execute_raw(statement.clone()))
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        read!(self, self.pool.execute_unprepared(sql))
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let statement = storable::statement(statement);
        read!(self, self.pool.query_one_raw(statement.clone()))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let statement = storable::statement(statement);
        read!(self, self.pool.query_all_raw(statement.clone()))
    }
}
