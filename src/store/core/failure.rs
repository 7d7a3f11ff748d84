//! From the database's errors to ours: what keeps it from working, what clashes, what is our fault.

use std::{fmt, io};

use sea_orm::{
    DbErr, RuntimeErr, SqlErr,
    sqlx::{
        self,
        error::DatabaseError,
        postgres::{PgDatabaseError, PgSeverity},
    },
};

use crate::error::{Error, Logged};

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match Outage::of(&error) {
            Some(outage) => outage.error(&error),
            None => Error::internal(error),
        }
    }
}

/// What keeps a database from doing what it is asked to, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// There is no space for what is to be written.
    DiskFull,
    /// The disk refuses what is to be written: a limit, a quota, a fault.
    DiskFault,
    /// It takes no writes: its settings, its file or its file system are read-only.
    ReadOnly,
    /// It is away.
    Away,
    /// It has too much to do, or others are in the way.
    Busy,
}

impl Outage {
    /// What the error is a sign of; `None`: of a fault of ours, or of what is written.
    pub fn of(error: &DbErr) -> Option<Self> {
        match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => Some(Self::Away),
            error => match below(error)? {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                // The server closed the connection in the middle of a conversation.
                | sqlx::Error::Protocol(_)
                // It has ended the transaction that it had just begun.
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
            // It has ended a session that did nothing in a transaction, or whose transaction took too long.
            "25P03" | "25P04" => Some(Self::Away),
            // A statement that was cancelled, and a lock that was not to be had.
            "57014" | "55P03" => Some(Self::Busy),
            // It has no code for each way in which a file refuses a write, such as a limit on its size.
            "XX000" if writes_files(error) => Some(Self::DiskFault),
            _ => match code.get(..2)? {
                // Connection exceptions and operator intervention.
                "08" | "57" => Some(Self::Away),
                "58" => Some(Self::DiskFault),
                // Insufficient resources, and two transactions in each other's way, of which the
                // database has ended this one.
                "53" | "40" => Some(Self::Busy),
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

    /// Whether this one lasts, and everybody suffers from it.
    pub fn lasts(self) -> bool {
        self != Self::Busy
    }

    /// What the log has once: full or faulty, what an operator does about a disk is the same.
    pub fn family(self) -> Self {
        match self {
            Self::DiskFault => Self::DiskFull,
            other => other,
        }
    }

    /// The error for the one whose call it was. What lasts is in the log already, once.
    fn error(self, error: &DbErr) -> Error {
        match self {
            Self::DiskFull | Self::DiskFault | Self::ReadOnly => {
                Error::away(&self.to_string(), Logged(error.to_string()))
            }
            Self::Away | Self::Busy => Error::away(&self.to_string(), error.clone()),
        }
    }

    /// The error for one more who suffers from it.
    pub fn reported(self) -> Error {
        Error::away(&self.to_string(), Logged(format!("{self:?}")))
    }
}

/// True when the session is over in which this happened, and all that it has left undone with it.
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
            Some(error) => matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic),
            None => false,
        },
        _ => false,
    }
}

/// Whether this is a connection over which no answer came in time.
pub fn is_silence(error: &DbErr) -> bool {
    matches!(below(error), Some(sqlx::Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut)
}

/// In words that a client may read.
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

/// How much of a transaction a failed statement takes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Itself, and on PostgreSQL the savepoint that it is in.
    Statement,
    /// All of it: the database has rolled it back by itself, or may have.
    Transaction,
}

/// How much of its transaction an error takes with it.
pub fn extent(error: &DbErr) -> Extent {
    let Some(sqlx::Error::Database(error)) = below(error) else {
        return Extent::Transaction;
    };
    let is_contained = match postgres(error.as_ref()) {
        Some(error) => !matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic),
        // Of all others, SQLite says that it may roll the transaction back.
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

/// The driver's own error.
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

/// True for errors of the parts of PostgreSQL that extend and write its files; `relcache.c` writes the
/// file that a new session begins with.
fn writes_files(error: &PgDatabaseError) -> bool {
    matches!(
        error.file(),
        Some("md.c" | "fd.c" | "xlog.c" | "relcache.c")
    )
}

/// The columns named by a broken uniqueness rule; `None` when that is not what happened.
pub fn duplicate(error: &DbErr) -> Option<String> {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(what)) => Some(what),
        _ => None,
    }
}

/// Whether the database has ended the transaction in favour of another one: a deadlock's victim, or one that
/// could not be put in a row with the others. Repeated, it may pass.
pub fn is_contention(error: &DbErr) -> bool {
    let Some(sqlx::Error::Database(error)) = below(error) else {
        return false;
    };
    postgres(error.as_ref()).is_some_and(|error| matches!(error.code(), "40P01" | "40001"))
}

/// Whether it is the fault of a row that was written: without that row, the others can be. A COMMIT that broke
/// off is not: it may have been done.
pub fn is_of_one_row(error: &DbErr) -> bool {
    !matches!(error, DbErr::Custom(_)) && Outage::of(error).is_none()
}

/// Whether a row refers to something that has just gone.
pub fn is_dangling(error: &DbErr) -> bool {
    matches!(
        error.sql_err(),
        Some(SqlErr::ForeignKeyConstraintViolation(_))
    )
}

/// What a broken uniqueness of `name` means to the client.
pub fn name_taken(error: DbErr, what: &str) -> Error {
    match duplicate(&error) {
        Some(_) => Error::Conflict(format!("name: another {what} has this name already")),
        None => error.into(),
    }
}
