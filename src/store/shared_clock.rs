//! The time that all hubs on a database go by: when deliveries and downlinks are due, and until when
//! what was claimed is somebody's.
//!
//! The clocks of hubs differ, and are set. So the time is read from what the hubs share, their database,
//! and goes on between two readings by the clock that nobody sets. A file has one hub, whose wall clock
//! it is. Where the time itself was set back, what waits for a later one would wait until that comes
//! again: it is due so much earlier.

use std::{
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tokio::time::{sleep, timeout};

use super::{Scope, Store, deliveries::queue::parked};
use crate::{
    clock::{self, Time},
    error::{Error, Result},
};

/// How often the time is read: from the hub's own clock, and from a server.
const READ_EVERY: Duration = Duration::from_secs(1);
const READ_EVERY_SHARED: Duration = Duration::from_secs(5);
/// An answer that took longer tells too little.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// What readings differ by when nobody has set the clock.
const DRIFT_MAX: TimeDelta = TimeDelta::seconds(2);
/// Rows that one statement changes: uplinks must not wait for more.
const CHUNK: u64 = 1000;

/// The time, as it was last read.
pub struct SharedClock(RwLock<Reading>);

#[derive(Clone, Copy)]
struct Reading {
    time: Time,
    at: Instant,
}

impl Reading {
    fn time_at(self, at: Instant) -> Time {
        let since = at.saturating_duration_since(self.at);
        clock::cut(self.time + since)
    }
}

impl Default for SharedClock {
    /// The hub's own clock, until the time is read.
    fn default() -> Self {
        Self(RwLock::new(Reading {
            time: clock::now(),
            at: Instant::now(),
        }))
    }
}

impl SharedClock {
    /// The time.
    pub fn now(&self) -> Time {
        let reading = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        reading.time_at(Instant::now())
    }

    /// Goes on from a reading; answers by how much the time was set.
    fn set(&self, time: Time, at: Instant) -> TimeDelta {
        let mut reading = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let step = time - reading.time_at(at);
        *reading = Reading { time, at };
        step
    }
}

/// What waits since a time that is still to come waits from now on, for as long as it was meant to.
struct Ahead {
    table: &'static str,
    key: &'static str,
    /// Which rows wait, beside those of one integration.
    waiting: &'static str,
}

const DELIVERIES: Ahead = Ahead {
    table: "deliveries",
    key: "integration_id",
    waiting: "due_at IS NOT NULL",
};
const DOWNLINKS: Ahead = Ahead {
    table: "downlinks",
    key: "connection_id",
    waiting: "state = 'queued'",
};

impl Ahead {
    /// `$1` is now, `$2` the row's owner, `$3` when nothing is due by itself, `$4` what was written later
    /// than which is ahead.
    fn statement(&self, backend: DbBackend) -> String {
        let Self {
            table,
            key,
            waiting,
        } = self;
        let due_at = match backend {
            DbBackend::Postgres => "CAST($1 AS timestamptz) + (due_at - updated_at)",
            _ => {
                "strftime('%Y-%m-%dT%H:%M:%f+00:00', \
                  julianday($1) + julianday(due_at) - julianday(updated_at))"
            }
        };
        format!(
            "UPDATE {table} SET due_at = {due_at}, updated_at = $1 WHERE id IN \
             (SELECT id FROM {table} WHERE {key} = $2 AND {waiting} AND due_at > $1 \
             AND due_at < $3 AND updated_at > $4 LIMIT {CHUNK})"
        )
    }
}

impl Store {
    /// The time that all hubs on the database go by.
    pub fn now(&self) -> Time {
        self.inner.clock.now()
    }

    /// Reads the time; answers by how much it was set since it was last read.
    pub(super) async fn read_time(&self) -> Result<TimeDelta> {
        let asked = Instant::now();
        if !self.is_shared() {
            return Ok(self.inner.clock.set(clock::now(), asked));
        }
        let statement = Statement::from_string(DbBackend::Postgres, "SELECT clock_timestamp()");
        let row = self.inner.reader.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| Error::internal("the database tells no time"))?;
        let time = row.try_get_by_index(0)?;
        // In the middle between question and answer, as far as anybody knows.
        Ok(self.inner.clock.set(time, asked + asked.elapsed() / 2))
    }

    /// Follows the time, for ever.
    pub(super) async fn follow_time(&self) {
        // While no hub ran, the clock may have been set back.
        let mut may_wait_too_long = true;
        loop {
            match timeout(READ_WITHIN, self.read_time()).await {
                Ok(Ok(step)) if step.abs() > DRIFT_MAX => {
                    let seconds = step.num_seconds();
                    tracing::warn!(seconds, "the clock was set");
                    may_wait_too_long |= step < TimeDelta::zero();
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!("no time: {}", error.causes()),
                Err(_) => tracing::debug!("no time: the database does not answer"),
            }
            if may_wait_too_long {
                match self.hasten().await {
                    Ok(()) => may_wait_too_long = false,
                    Err(error) => tracing::debug!("no time: {}", error.causes()),
                }
            }
            sleep(match self.is_shared() {
                true => READ_EVERY_SHARED,
                false => READ_EVERY,
            })
            .await;
        }
    }

    /// Lets what was written while the time was ahead wait no longer than it was meant to.
    async fn hasten(&self) -> Result<()> {
        for integration in self.all_integrations().await? {
            self.hasten_of(&DELIVERIES, integration.0).await?;
        }
        for (_, connection) in self.connections_with_downlinks().await? {
            self.hasten_of(&DOWNLINKS, connection.0).await?;
        }
        self.inner.signals.work.notify_one();
        self.inner.signals.downlinks.send_replace(());
        Ok(())
    }

    async fn hasten_of(&self, what: &Ahead, owner: i64) -> Result<(), DbErr> {
        let backend = self.inner.writer.get_database_backend();
        let sql = what.statement(backend);
        loop {
            let now = self.now();
            let values = [
                now.into(),
                owner.into(),
                parked().into(),
                (now + DRIFT_MAX).into(),
            ];
            let statement = Statement::from_sql_and_values(backend, &sql, values);
            let changed = self.inner.writer.execute_raw(statement).await?;
            if changed.rows_affected() < CHUNK {
                return Ok(());
            }
        }
    }
}

impl Scope {
    /// The time that all hubs on the database go by.
    pub fn now(&self) -> Time {
        self.store.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: TimeDelta = TimeDelta::hours(1);

    #[test]
    fn the_time_goes_on_from_its_reading() {
        let clock = SharedClock::default();
        let at = Instant::now();
        let read = clock::now() + HOUR;
        let step = clock.set(read, at);
        assert!((step - HOUR).abs() < TimeDelta::seconds(10), "{step}");
        let (before, now) = (at.elapsed(), clock.now());
        assert!(now >= clock::cut(read + before), "{now}");
        assert!(now <= read + at.elapsed(), "{now}");
    }

    #[test]
    fn a_reading_tells_by_how_much_the_time_was_set() {
        let clock = SharedClock::default();
        let at = Instant::now() + Duration::from_secs(100);
        let time = clock::now();
        clock.set(time, at);
        let later = Duration::from_secs(60);
        assert_eq!(clock.set(time + later, at + later), TimeDelta::zero());
        assert_eq!(
            clock.set(time - HOUR, at + later),
            -HOUR - TimeDelta::seconds(60)
        );
        // An answer that is older than the last reading.
        assert_eq!(clock.set(time - HOUR, at), TimeDelta::zero());
    }
}
