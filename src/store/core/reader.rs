//! The connection for reads outside of transactions.
//!
//! A server ends the sessions of its clients when it is restarted, and a proxy in front of it when it
//! likes. The hub notices when it uses one next: what was read is read again over another, once.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    entity::prelude::async_trait::async_trait,
};

use super::{failure, patience::Patience, storable, writability::Writability};

/// The connections that read.
#[derive(Clone)]
pub struct Reader {
    pool: DatabaseConnection,
    writability: Writability,
    patience: Patience,
}

impl Reader {
    /// Reads through a pool whose connections go by this state.
    pub fn new(pool: DatabaseConnection, writability: Writability, patience: Patience) -> Self {
        Self {
            pool,
            writability,
            patience,
        }
    }

    /// The same connections, for what waits as long as `bound` makes of how long they wait.
    pub fn within(&self, bound: impl FnOnce(Patience) -> Patience) -> Self {
        Self {
            patience: bound(self.patience),
            ..self.clone()
        }
    }

    /// Closes the connections.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.patience.wait(self.pool.close_by_ref()).await
    }

    /// Whether what failed is worth another try: its session is over, and others may not be. Who has waited
    /// for one that went silent has waited for long enough.
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

    fn noted<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        outcome.inspect_err(|error| self.writability.note(error))
    }
}

/// What the call gives, the second time if the session was lost.
macro_rules! read {
    ($self:ident, $call:expr) => {
        match $self.patience.with_acquire().wait($call).await {
            Err(error) if $self.may_repeat(&error) => {
                $self.noted($self.patience.with_acquire().wait($call).await)
            }
            outcome => outcome,
        }
    };
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
