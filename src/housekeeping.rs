//! Deletes what is older than the time for which it is kept, in small chunks so that other writers hardly wait, and
//! gives the space of an SQLite file back.
//!
//! Of the hubs that share a database one does this: the one that holds the lease.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Time,
    config::Config,
    error::Result,
    metrics::Metrics,
    pace::Pace,
    sole_lease::SoleLease,
    store::{
        Store,
        retention::{Calendar, Keeping, Kind, Sweep},
    },
};

/// Interval between two runs.
const EVERY: Duration = Duration::from_secs(60);
/// Pause between two chunks in which nothing was old.
const SHORT_BREATH: Duration = Duration::from_millis(5);
/// Maximum number of rows in a chunk.
const ROWS_MAX: u64 = 1000;
/// Maximum number of pages of an SQLite file that are freed at once.
const PAGES_MAX: u64 = 1000;

/// Name of the lease.
const LEASE: &str = "housekeeping";

/// Deletes what is old.
pub struct Housekeeper {
    store: Store,
    keeping: Keeping,
    metrics: Metrics,
    lease: SoleLease,
    calendar: Option<Calendar>,
    rows: Pace,
    pages: Pace,
    run_at: Instant,
}

impl Housekeeper {
    /// Creates a housekeeper.
    pub fn new(store: Store, config: &Config, metrics: Metrics) -> Self {
        for kind in Kind::ALL {
            metrics.housekeeping.count_deleted(kind.as_str(), 0);
        }
        let days = |days: u32| (days > 0).then(|| TimeDelta::days(days.into()));
        Self {
            keeping: Keeping {
                uplinks: days(config.uplink_keep_days),
                events: days(config.event_keep_days),
                audit_entries: days(config.audit_keep_days),
                jobs: days(config.job_keep_days),
            },
            lease: SoleLease::new(store.clone(), LEASE),
            store,
            metrics,
            calendar: None,
            rows: Pace::of_deletions(ROWS_MAX),
            pages: Pace::of_deletions(PAGES_MAX),
            run_at: Instant::now(),
        }
    }

    /// Runs until `stop`; a chunk in progress is completed.
    pub async fn run(&mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.look(&stop).await {
                tracing::warn!("what is old stays for now: {}", error.causes());
                self.run_at = Instant::now() + EVERY;
            }
            let next = self.lease.renew_at().min(
                self.run_at
                    .max(Instant::now() + self.store.pause_after(Duration::ZERO)),
            );
            let _ = tokio::time::timeout_at(next, stop.cancelled()).await;
        }
        self.lease.release().await;
    }

    /// Runs if it is time, and if no other hub does.
    async fn look(&mut self, stop: &CancellationToken) -> Result<()> {
        if !self.lease.hold().await? {
            self.run_at = self.lease.renew_at();
            return Ok(());
        }
        if Instant::now() < self.run_at {
            return Ok(());
        }
        for kind in Kind::ALL {
            if !self.sweep(kind, stop).await? {
                return Ok(());
            }
        }
        self.free_space(stop).await?;
        self.metrics.housekeeping.runs.inc();
        self.run_at = Instant::now() + EVERY;
        Ok(())
    }

    /// Deletes the old rows of a kind. Returns false if it is time to stop, or if another hub has taken over.
    async fn sweep(&mut self, kind: Kind, stop: &CancellationToken) -> Result<bool> {
        let now = self.now().await?;
        let mut sweep = Sweep::begin(&self.store, kind, self.keeping, now).await?;
        match sweep.renew_partitions(&self.store).await {
            Ok(dropped) => {
                let housekeeping = &self.metrics.housekeeping;
                housekeeping.dropped_partitions.inc_by(dropped.partitions);
                housekeeping.freed_bytes.inc_by(dropped.bytes);
            }
            // Rows are deleted one by one for now.
            Err(error) => {
                tracing::warn!("partitions stay as they are for now: {}", error.causes());
            }
        }
        let mut is_more = true;
        while is_more {
            if stop.is_cancelled() || !self.lease.hold().await? {
                return Ok(false);
            }
            let begun = Instant::now();
            let cleared = sweep.step(&self.store, self.rows.size()).await?;
            let mut pause = SHORT_BREATH;
            if cleared.rows > 0 {
                self.rows.note(cleared.held, self.store.clearing_aim());
                let housekeeping = &self.metrics.housekeeping;
                housekeeping.count_deleted(kind.as_str(), cleared.rows);
                pause = self.store.pause_after(begun.elapsed());
            }
            is_more = cleared.is_more;
            if is_more {
                sleep(pause).await;
            }
        }
        Ok(true)
    }

    async fn free_space(&mut self, stop: &CancellationToken) -> Result<()> {
        let mut begins = true;
        while !stop.is_cancelled() {
            let begun = Instant::now();
            let freed = self.store.free_space(self.pages.size(), begins).await?;
            self.metrics.housekeeping.freed_bytes.inc_by(freed.bytes);
            if !freed.is_more {
                break;
            }
            begins = false;
            self.pages.note(freed.held, self.store.clearing_aim());
            sleep(self.store.pause_after(begun.elapsed())).await;
        }
        Ok(())
    }

    /// Returns the time by which rows count as old.
    async fn now(&mut self) -> Result<Time> {
        let calendar = match self.calendar.take() {
            Some(calendar) => calendar,
            None => Calendar::begin(&self.store).await?,
        };
        Ok(self.calendar.insert(calendar).now(&self.store))
    }
}
