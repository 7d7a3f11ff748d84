//! Watching of the database while the hub runs: availability of writes, and the time.
//!
//! If the time was set back, due times in queues are moved back by the same amount.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Result,
    store::{
        core::{handle::Store, shared_clock::DRIFT_MAX},
        deliveries::parking::parked,
    },
};

/// Intervals at which the time is read: from the hub's own clock, and from a shared database.
const READ_EVERY: Duration = Duration::from_secs(1);
const READ_EVERY_SHARED: Duration = Duration::from_secs(5);
/// Timeout of a reading; a slower answer would be too inaccurate.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// Maximum number of rows changed by a statement, so that uplinks do not wait for long.
const CHUNK: u64 = 1000;
/// Time after a step back for which rows may still be written with a time that was read before it.
const LATE_WRITES: Duration = Duration::from_secs(60);

/// Rows whose wait began at a future time, which must wait from now on for as long as intended.
struct Ahead {
    table: &'static str,
    key: &'static str,
    /// Condition of waiting rows, in addition to the owner.
    waiting: &'static str,
    /// Condition of rows that never wait for a time, which are due now.
    waits_for_nothing: &'static str,
}

const DELIVERIES: Ahead = Ahead {
    table: "deliveries",
    key: "integration_id",
    waiting: "due_at IS NOT NULL",
    waits_for_nothing: "attempt = round_start",
};
const DOWNLINKS: Ahead = Ahead {
    table: "downlinks",
    key: "connection_id",
    waiting: "state = 'queued'",
    waits_for_nothing: "false",
};

impl Ahead {
    /// Returns the statement. Parameters: `$1` is the current time, `$2` the row's owner, `$3` the due time of
    /// parked rows, and `$4` the time after which a change counts as ahead.
    fn statement(&self, backend: DbBackend) -> String {
        let Self {
            table,
            key,
            waiting,
            waits_for_nothing,
        } = self;
        let (time, due_at) = match backend {
            DbBackend::Postgres => (
                "timestamptz",
                "CAST($1 AS timestamptz) + (due_at - updated_at)",
            ),
            _ => (
                "text",
                "strftime('%Y-%m-%dT%H:%M:%f+00:00', \
                 julianday($1) + julianday(due_at) - julianday(updated_at))",
            ),
        };
        format!(
            "UPDATE {table} SET due_at = CASE WHEN {waits_for_nothing} THEN CAST($1 AS {time}) \
             ELSE {due_at} END, updated_at = $1 WHERE id IN (SELECT id FROM {table} \
             WHERE {key} = $2 AND {waiting} AND due_at > $1 AND due_at < $3 \
             AND (updated_at > $4 OR {waits_for_nothing} AND due_at > $4) LIMIT {CHUNK})"
        )
    }
}

impl Store {
    /// Watches the availability of writes and the time, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let watching = async { tokio::join!(self.inner.probe.clone().run(), self.follow_time()) };
        let _ = stop.run_until_cancelled(watching).await;
    }

    /// Reads the time forever.
    async fn follow_time(&self) {
        // The clock may have been set back while no hub ran.
        let mut hasten_until = Some(Instant::now());
        loop {
            match timeout(READ_WITHIN, self.read_time()).await {
                Ok(Ok(Some(step))) => {
                    let seconds = step.num_seconds();
                    tracing::warn!(seconds, "the clock was set");
                    if step < TimeDelta::zero() {
                        hasten_until = Some(Instant::now() + LATE_WRITES);
                    }
                    // A wait for other writers must not delay the readings of the time.
                    let _ = timeout(READ_WITHIN, self.keep_clock_steps()).await;
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::debug!("no time: {}", error.causes()),
                Err(_) => tracing::debug!("no time: the database does not answer"),
            }
            if let Some(until) = hasten_until {
                let begun = Instant::now();
                match self.hasten().await {
                    Ok(()) => hasten_until = hasten_until.filter(|_| begun < until),
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

    /// Moves the due times of rows that were written while the clock was ahead.
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
