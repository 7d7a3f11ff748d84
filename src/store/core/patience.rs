//! Timeouts for PostgreSQL.
//!
//! A connection may go silent: a firewall has dropped it, or a proxy or the server's machine hangs. Nothing signals
//! this, and TCP gives up after a quarter of an hour, if at all. Therefore every statement has a timeout in the hub.
//! The server ends slow statements before that, so a timeout in the hub means that the connection is dead.

use std::{io, sync::Arc, time::Duration};

use sea_orm::{DbErr, RuntimeErr, sqlx};
use tokio::time::timeout;

use crate::config::Config;

/// Maximum wait for statements on leases, which expire in the meantime.
const LEASES: Duration = Duration::from_secs(2);
/// Maximum wait for a free connection, for any purpose.
pub const ACQUIRE: Duration = Duration::from_secs(5);
/// Extra time for the server to report that it has ended a statement.
const MARGIN: Duration = Duration::from_secs(5);

/// Maximum wait for one statement.
#[derive(Debug, Clone, Copy)]
pub struct Patience(Option<Duration>);

/// Timeouts of statements.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For statements that block messages and whole tasks.
    pub short: Duration,
    /// For all other statements; the server ends them by then.
    pub long: Duration,
}

impl Bounds {
    /// Returns the timeouts from the settings.
    pub fn of(config: &Config) -> Self {
        let short = Duration::from_secs(config.database_timeout_s);
        let request = Duration::from_secs(config.request_timeout_s);
        Self {
            short,
            long: request.max(short),
        }
    }
}

impl Patience {
    /// No timeout: the connection cannot go silent, or the work may take long.
    pub const ENDLESS: Self = Self(None);

    /// For most statements.
    pub fn long(bounds: Bounds) -> Self {
        Self(Some(bounds.long + MARGIN))
    }

    /// For statements that block messages.
    pub fn short(self, bounds: Bounds) -> Self {
        self.at_most(bounds.short)
    }

    /// For statements on leases.
    pub fn leases(self, bounds: Bounds) -> Self {
        self.at_most(bounds.short.min(LEASES))
    }

    fn at_most(self, limit: Duration) -> Self {
        Self(self.0.map(|long| long.min(limit)))
    }

    /// Adds the time to obtain a connection.
    pub fn with_acquire(self) -> Self {
        Self(self.0.map(|limit| limit + ACQUIRE))
    }

    /// Awaits database work. After a timeout, its connection must not be used again.
    pub async fn wait<T>(self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let Some(limit) = self.0 else {
            return work.await;
        };
        timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(silence(limit)))
    }
}

/// Returns the error for a connection that has gone silent.
pub fn silence(limit: Duration) -> DbErr {
    let seconds = limit.as_secs();
    let error = io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no answer within {seconds} seconds; the connection is given up"),
    );
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Io(error))))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::store::core::failure::{self, Extent, Outage};

    const BOUNDS: Bounds = Bounds {
        short: Duration::from_secs(7),
        long: Duration::from_secs(30),
    };

    #[test]
    fn what_others_wait_for_is_given_up_soon() {
        let long = Patience::long(BOUNDS);
        let seconds = |patience: Patience| patience.0.map(|limit| limit.as_secs());
        assert_eq!(seconds(long), Some(35));
        assert_eq!(seconds(long.short(BOUNDS)), Some(7));
        assert_eq!(seconds(long.leases(BOUNDS)), Some(2));
        assert_eq!(seconds(long.short(BOUNDS).with_acquire()), Some(12));
        assert_eq!(
            seconds(Patience::ENDLESS.short(BOUNDS).with_acquire()),
            None
        );
    }

    #[tokio::test]
    async fn what_never_answers_is_a_lost_session() {
        let patience = Patience(Some(Duration::from_millis(1)));
        let error = patience.wait(pending::<Result<(), _>>()).await.unwrap_err();
        assert_eq!(Outage::of(&error), Some(Outage::Away));
        assert_eq!(failure::extent(&error), Extent::Transaction);
        assert!(failure::has_lost_session(&error) && failure::is_silence(&error));
    }

    #[tokio::test]
    async fn what_answers_in_time_is_answered() {
        let patience = Patience(Some(Duration::from_secs(60)));
        assert_eq!(patience.wait(async { Ok(7) }).await, Ok(7));
    }
}
