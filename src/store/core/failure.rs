//! Conversion of database errors: outages, conflicts, and internal errors.

use std::{fmt, io};

use sea_orm::{
    DbErr, RuntimeErr, SqlErr,
    sqlx::{
        self,
        error::DatabaseError,
        postgres::{PgDatabaseError, PgSeverity},
    },
};

use crate::error::{Error, Logged, Reason};

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match Outage::of(&error) {
            Some(outage) => outage.error(&error),
            None => Error::internal(error),
        }
    }
}

/// Temporary condition that keeps a database from working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// The disk has no space for the write.
    DiskFull,
    /// The disk refuses the write because of a limit, a quota or a fault.
    DiskFault,
    /// The database takes no writes: its settings, its file or its file system are read-only.
    ReadOnly,
    /// The database cannot be reached.
    Away,
    /// The database is overloaded, or others hold the required locks.
    Busy,
}

impl Outage {
    /// Returns the outage that the error indicates; `None` if the cause is a defect of the hub or the data written.
    pub fn of(error: &DbErr) -> Option<Self> {
        match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => Some(Self::Away),
            error => match below(error)? {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                // The server closed the connection in the middle of an exchange.
                | sqlx::Error::Protocol(_)
                // The server ended the transaction right after it began.
                | sqlx::Error::BeginFailed => Some(Self::Away),
                sqlx::Error::Database(error) => match postgres(error.as_ref()) {
                    Some(error) => Self::of_postgres(error),
                    None => Self::of_sqlite(sqlite_code(error.as_ref())),
                },
                _ => None,
            },
        }
    }

    fn of_postgres(error: &PgDatabaseError) -> Option<Self> {
        let code = error.code();
        match code {
            "53100" => Some(Self::DiskFull),
            "25006" => Some(Self::ReadOnly),
            // The server ended a session that was idle in a transaction, or whose transaction took too long.
            "25P03" | "25P04" => Some(Self::Away),
            // Cancelled statement; lock not available.
            "57014" | "55P03" => Some(Self::Busy),
            // PostgreSQL has no specific code for some refused file writes, such as those beyond a size limit.
            "XX000" if writes_files(error) => Some(Self::DiskFault),
            _ => match code.get(..2)? {
                // Connection exceptions and operator intervention.
                "08" | "57" => Some(Self::Away),
                "58" => Some(Self::DiskFault),
                // Insufficient resources; serialization failures and deadlocks, in which the database has ended this
                // transaction.
                "53" | "40" => Some(Self::Busy),
                // Whatever the reason, the server lets nobody in: a database that takes no connections, a changed
                // password.
                _ if ends_session(error) => Some(Self::Away),
                _ => None,
            },
        }
    }

    fn of_sqlite(code: i32) -> Option<Self> {
        match code & 0xff {
            sqlite::FULL => Some(Self::DiskFull),
            sqlite::IOERR => Some(Self::DiskFault),
            sqlite::READONLY => Some(Self::ReadOnly),
            sqlite::CANTOPEN => Some(Self::Away),
            sqlite::BUSY | sqlite::LOCKED | sqlite::NOMEM | sqlite::INTERRUPT => Some(Self::Busy),
            _ => None,
        }
    }

    /// True if the outage lasts and affects every request.
    pub fn lasts(self) -> bool {
        self != Self::Busy
    }

    /// Returns the kind under which the log reports the outage once. A full and a faulty disk are one kind, because
    /// operators handle them alike.
    pub fn family(self) -> Self {
        match self {
            Self::DiskFault => Self::DiskFull,
            other => other,
        }
    }

    /// Returns the error for the failed call. Lasting outages are already in the log.
    fn error(self, error: &DbErr) -> Error {
        match self {
            Self::DiskFull | Self::DiskFault | Self::ReadOnly => {
                Error::away(&self.to_string(), Logged(error.to_string()))
            }
            Self::Away | Self::Busy => Error::away(&self.to_string(), error.clone()),
        }
    }

    /// Returns the error for another call during the same outage.
    pub fn reported(self) -> Error {
        Error::away(&self.to_string(), Logged(format!("{self:?}")))
    }
}

/// True if the session has ended, along with its open transaction.
pub fn has_lost_session(error: &DbErr) -> bool {
    match below(error) {
        Some(
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed,
        ) => true,
        Some(sqlx::Error::Database(error)) => match postgres(error.as_ref()) {
            Some(error) => ends_session(error),
            None => false,
        },
        _ => false,
    }
}

/// True if a connection did not answer in time.
pub fn is_silence(error: &DbErr) -> bool {
    matches!(below(error), Some(sqlx::Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut)
}

/// Text that clients see.
impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "the disk is full; nothing can be stored until there is space again",
            Self::DiskFault => {
                "the disk is full or refuses writes; nothing can be stored until it takes them again"
            }
            Self::ReadOnly => "the database is read-only; nothing can be stored until it is not",
            Self::Away => "the database cannot be reached; try again",
            Self::Busy => "the database is busy; try again",
        })
    }
}

/// Part of a transaction that a failed statement undoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The statement and, on PostgreSQL, its enclosing savepoint.
    Statement,
    /// The whole transaction: the database has rolled it back, or may have.
    Transaction,
}

/// Returns the part of the transaction that an error undoes.
pub fn extent(error: &DbErr) -> Extent {
    let Some(sqlx::Error::Database(error)) = below(error) else {
        return Extent::Transaction;
    };
    let is_contained = match postgres(error.as_ref()) {
        Some(error) => !ends_session(error),
        // For all other codes, SQLite documents that it may roll the transaction back.
        None => matches!(
            sqlite_code(error.as_ref()) & 0xff,
            sqlite::ERROR | sqlite::TOOBIG | sqlite::CONSTRAINT | sqlite::MISMATCH | sqlite::RANGE
        ),
    };
    match is_contained {
        true => Extent::Statement,
        false => Extent::Transaction,
    }
}

/// SQLite's primary result codes.
mod sqlite {
    pub const ERROR: i32 = 1;
    pub const BUSY: i32 = 5;
    pub const LOCKED: i32 = 6;
    pub const NOMEM: i32 = 7;
    pub const READONLY: i32 = 8;
    pub const INTERRUPT: i32 = 9;
    pub const IOERR: i32 = 10;
    pub const FULL: i32 = 13;
    pub const CANTOPEN: i32 = 14;
    pub const TOOBIG: i32 = 18;
    pub const CONSTRAINT: i32 = 19;
    pub const MISMATCH: i32 = 20;
    pub const RANGE: i32 = 25;
}

/// Returns the driver's own error.
fn below(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

fn postgres<'a>(error: &'a (dyn DatabaseError + 'static)) -> Option<&'a PgDatabaseError> {
    error.try_downcast_ref::<PgDatabaseError>()
}

fn sqlite_code(error: &dyn DatabaseError) -> i32 {
    let code = error.code();
    code.and_then(|code| code.parse().ok()).unwrap_or_default()
}

fn ends_session(error: &PgDatabaseError) -> bool {
    matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
}

/// True for errors raised in PostgreSQL's source files that extend and write its files; `relcache.c` writes the file
/// that a new session starts from.
fn writes_files(error: &PgDatabaseError) -> bool {
    matches!(
        error.file(),
        Some("md.c" | "fd.c" | "xlog.c" | "relcache.c")
    )
}

/// Returns the columns of a violated uniqueness constraint; `None` for any other error.
pub fn duplicate(error: &DbErr) -> Option<String> {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(what)) => Some(what),
        _ => None,
    }
}

/// True if the database ended the transaction in favor of another one, as a deadlock victim or for a serialization
/// failure. A retry may succeed.
pub fn is_contention(error: &DbErr) -> bool {
    let Some(sqlx::Error::Database(error)) = below(error) else {
        return false;
    };
    postgres(error.as_ref()).is_some_and(|error| matches!(error.code(), "40P01" | "40001"))
}

/// True if a single row caused the error, so that the other rows can be written without it. An interrupted COMMIT
/// does not count: it may have succeeded.
pub fn is_of_one_row(error: &DbErr) -> bool {
    !matches!(error, DbErr::Custom(_)) && Outage::of(error).is_none()
}

/// True if a row refers to one that has just been deleted.
pub fn is_dangling(error: &DbErr) -> bool {
    matches!(
        error.sql_err(),
        Some(SqlErr::ForeignKeyConstraintViolation(_))
    )
}

/// Returns the client's error for a violated uniqueness of `name`.
pub fn name_taken(error: DbErr, what: &str) -> Error {
    match duplicate(&error) {
        Some(_) => Error::of_field(
            Reason::AlreadyExists,
            "name",
            format!("another {what} has this name already"),
        ),
        None => error.into(),
    }
}
