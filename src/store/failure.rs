//! From the database's errors to ours: what is away, what clashes, what is our fault.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlErr, sqlx};

use crate::error::Error;

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if is_away(&error) {
            Error::away("the database is away; try again", error)
        } else {
            Error::internal(error)
        }
    }
}

/// The columns named by a broken uniqueness rule; `None` when that is not what happened.
pub fn duplicate(error: &DbErr) -> Option<String> {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(what)) => Some(what),
        _ => None,
    }
}

/// Whether a row refers to something that has just gone.
pub fn is_dangling(error: &DbErr) -> bool {
    matches!(
        error.sql_err(),
        Some(SqlErr::ForeignKeyConstraintViolation(_))
    )
}

fn is_away(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout | ConnAcquireErr::ConnectionClosed) => {
            true
        }
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => is_away_below(error),
        DbErr::Conn(_) => true,
        _ => false,
    }
}

fn is_away_below(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // The server closed the connection in the middle of a conversation.
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            if error
                .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                .is_some()
            {
                // Connection exceptions, insufficient resources, operator intervention, and two
                // transactions in each other's way, of which the database has ended this one.
                ["08", "53", "57", "40"]
                    .iter()
                    .any(|class| code.starts_with(class))
            } else {
                // SQLite, low byte: BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN.
                code.parse::<i32>()
                    .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
            }
        }
        _ => false,
    }
}

/// What a broken uniqueness of `name` means to the client.
pub fn name_taken(error: DbErr, what: &str) -> Error {
    match duplicate(&error) {
        Some(_) => Error::Conflict(format!("name: another {what} has this name already")),
        None => error.into(),
    }
}
