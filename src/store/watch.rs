//! Watches the database while the hub runs: whether it takes writes, and what time it is.
//!
//! Where the time was set back, what waits in a queue is made due as much earlier.

use std::time::Duration;

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

/// How often the time is read: from the hub's own clock, and from a server.
const READ_EVERY: Duration = Duration::from_secs(1);
const READ_EVERY_SHARED: Duration = Duration::from_secs(5);
/// An answer that took longer tells too little.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// Rows that one statement changes: uplinks must not wait for more.
const CHUNK: u64 = 1000;

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
    /// Watches whether the database takes writes, and what time it is, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let watching = async { tokio::join!(self.inner.probe.clone().run(), self.follow_time()) };
        let _ = stop.run_until_cancelled(watching).await;
    }

    /// Follows the time, for ever.
    async fn follow_time(&self) {
        // While no hub ran, the clock may have been set back.
        let mut may_wait_too_long = true;
        loop {
            match timeout(READ_WITHIN, self.read_time()).await {
                Ok(Ok(Some(step))) => {
                    let seconds = step.num_seconds();
                    tracing::warn!(seconds, "the clock was set");
                    may_wait_too_long |= step < TimeDelta::zero();
                    // Waiting for others to write must not keep the time from being read.
                    let _ = timeout(READ_WITHIN, self.keep_clock_steps()).await;
                }
                Ok(Ok(None)) => {}
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
