//! Rolls up the hours of data tables in the background, and again the hours whose rows have changed since, in small
//! chunks so that other writers hardly wait. While uplinks arrive, it pauses after each read and each write.
//!
//! Of the hubs that share a database one does this: the one that holds the lease. If it is killed, another one goes on
//! from the end of the hours that are rolled up. A hub whose setting is off drops the rollups that there are.

mod rest;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::rest::After;
use crate::{
    config::Config,
    error::Result,
    id::DataTableId,
    metrics::Metrics,
    pace::Pace,
    sole_lease::SoleLease,
    store::{
        Store,
        data::rollups::last_end_s,
        rollups::{RolledTable, hours::Batch, totals::Renewed},
    },
};

/// Interval between two searches for hours to roll up.
const EVERY: Duration = Duration::from_secs(2);
/// Maximum number of rows that are read at a time; an hour is read as a whole.
const ROWS_MAX: u64 = 20_000;
/// Target duration of a read.
const READ_AIM: Duration = Duration::from_millis(50);
/// Maximum number of rolled up hours, of devices and of all together, by columns, in a transaction.
const HOURS_MAX: u64 = 2000;
/// Maximum number of hours whose devices are added up again at a time.
const TOTALS_MAX: u64 = 500;
/// Number of rolled up hours in memory from which they are written before more are read.
const BUFFERED: u64 = 5000;
/// Maximum number of changed hours that are rolled up again in a transaction.
const MARKS_MAX: u64 = 500;

/// Name of the lease.
const LEASE: &str = "rollups";

/// Rolls up the hours of data tables.
pub struct Roller {
    store: Store,
    metrics: Metrics,
    is_on: bool,
    lease: SoleLease,
    look_at: Instant,
    rows: Pace,
    hours: Pace,
    marks: Pace,
    totals: Pace,
    /// Transactions that may not know that a table has rollups, by the bound of their numbers.
    begun: HashMap<DataTableId, i64>,
}

/// True if the work may go on: it is not time to stop, and no other hub has taken over.
type GoesOn = bool;

impl Roller {
    /// Creates a roller.
    pub fn new(store: Store, config: &Config, metrics: Metrics) -> Self {
        Self {
            is_on: config.rollups,
            lease: SoleLease::new(store.clone(), LEASE),
            store,
            metrics,
            look_at: Instant::now(),
            rows: Pace::new(ROWS_MAX),
            hours: Pace::new(HOURS_MAX),
            marks: Pace::new(MARKS_MAX),
            totals: Pace::new(TOTALS_MAX),
            begun: HashMap::new(),
        }
    }

    /// Runs until `stop`; a chunk in progress is completed.
    pub async fn run(&mut self, stop: CancellationToken) {
        let mut is_done = false;
        while !stop.is_cancelled() && !is_done {
            is_done = match self.look(&stop).await {
                Ok(looked) => looked && !self.is_on,
                Err(error) => {
                    tracing::warn!("rollups wait for now: {}", error.causes());
                    false
                }
            };
            self.look_at = Instant::now() + EVERY;
            let next = self.look_at.min(self.lease.renew_at().max(Instant::now()));
            let _ = tokio::time::timeout_at(next, stop.cancelled()).await;
        }
        self.lease.release().await;
        // A task that has nothing to do any more is not started again.
        stop.cancelled().await;
    }

    /// Rolls up what there is. Returns true if nothing is left.
    async fn look(&mut self, stop: &CancellationToken) -> Result<bool> {
        if !self.lease.hold().await? {
            return Ok(false);
        }
        if self.is_on {
            let tables = self.store.renew_rollups().await?;
            let marked = self.store.marked_tables().await?;
            self.begun
                .retain(|id, _| tables.iter().any(|table| table.id == *id));
            let mut lag = 0;
            for table in tables {
                let until_s = self.advance(&table, &marked, stop).await?;
                lag = lag.max(self.lag_s(until_s));
                if !self.goes_on(stop).await? {
                    return Ok(false);
                }
            }
            self.metrics.rollups.lag_seconds.set(lag);
        } else {
            self.store.drop_rollups().await?;
        }
        if !self.clear(stop).await? {
            return Ok(false);
        }
        self.metrics.rollups.passes.inc();
        Ok(true)
    }

    /// Rolls up the hours of a table that are over, and those that have changed. Returns the end of the hours that are
    /// rolled up; if none are yet, the start of the first one.
    async fn advance(
        &mut self,
        table: &RolledTable,
        marked: &BTreeSet<i64>,
        stop: &CancellationToken,
    ) -> Result<i64> {
        let end_s = last_end_s(self.store.now());
        let Some(mut until_s) = self.started(table, end_s).await? else {
            return self.first_hour(table, end_s).await;
        };
        while until_s < end_s {
            match self.chunk(table, until_s, end_s, stop).await? {
                Some(to_s) => until_s = to_s,
                None => return Ok(until_s),
            }
        }
        if marked.contains(&table.id.0) {
            self.repeat(table, until_s, stop).await?;
            self.total(table, until_s, stop).await?;
        }
        Ok(until_s)
    }

    /// Rolls up marked hours of devices again.
    async fn repeat(
        &mut self,
        table: &RolledTable,
        until_s: i64,
        stop: &CancellationToken,
    ) -> Result<()> {
        while self.goes_on(stop).await? {
            let begun = Instant::now();
            let marks = self.store.rollup_marks(table, self.marks.size()).await?;
            if marks.is_empty() {
                break;
            }
            let again = self.store.roll_up_again(table, until_s, marks).await?;
            let Some((hours, held)) = again else {
                break;
            };
            self.metrics.rollups.repeated_hours.inc_by(hours);
            self.marks.note(held, self.store.rolling_aim());
            self.pause(After::Writing, begun, stop).await?;
        }
        Ok(())
    }

    /// Adds up all devices in the hours that were rolled up again.
    async fn total(
        &mut self,
        table: &RolledTable,
        until_s: i64,
        stop: &CancellationToken,
    ) -> Result<()> {
        while self.goes_on(stop).await? {
            let size = self.totals.size().min(self.marks.size());
            let outdated = self.store.outdated_totals(table, size).await?;
            if outdated.is_empty() {
                break;
            }
            let (mut renewed, mut longest) = (Renewed::default(), Duration::ZERO);
            for column in &table.columns {
                let begun = Instant::now();
                self.store
                    .sum_devices(table, column, until_s, &outdated, &mut renewed)
                    .await?;
                longest = longest.max(begun.elapsed());
                if !self.pause(After::Reading, begun, stop).await? {
                    return Ok(());
                }
            }
            self.totals.note(longest, READ_AIM);
            let begun = Instant::now();
            let written = self.store.renew_totals(table, until_s, outdated, renewed);
            let Some(held) = written.await? else {
                break;
            };
            self.marks.note(held, self.store.rolling_aim());
            self.pause(After::Writing, begun, stop).await?;
        }
        Ok(())
    }

    /// Returns the end of the hours that are rolled up; `None` for a table whose rollups cannot begin yet, or whose end
    /// another hub has moved.
    async fn started(&mut self, table: &RolledTable, end_s: i64) -> Result<Option<i64>> {
        let to_s = match table.until_s {
            Some(until_s) if until_s <= end_s => return Ok(Some(until_s)),
            // The clock was set back: hours are rolled up that are not over, and whose rows leave no marks.
            Some(_) => end_s,
            None => {
                // A transaction that began before the table had rollups may still add rows without marks.
                let (oldest, next) = self.store.transaction_bounds().await?;
                if oldest < *self.begun.entry(table.id).or_insert(next) {
                    return Ok(None);
                }
                self.first_hour(table, end_s).await?
            }
        };
        self.begun.remove(&table.id);
        let is_moved = self.store.move_rollups(table, to_s).await?;
        Ok(is_moved.then_some(to_s))
    }

    /// Returns the start of the first hour with rows, at most `end_s`.
    async fn first_hour(&self, table: &RolledTable, end_s: i64) -> Result<i64> {
        let first = self.store.first_hour(table, None).await?;
        Ok(first.map_or(end_s, |first| first.min(end_s)))
    }

    /// Rolls up some hours from `until_s` on. Returns the new end; `None` if the work does not go on.
    async fn chunk(
        &mut self,
        table: &RolledTable,
        until_s: i64,
        end_s: i64,
        stop: &CancellationToken,
    ) -> Result<Option<i64>> {
        let begun = Instant::now();
        let first = self.store.first_hour(table, Some(until_s)).await?;
        let Some(from_s) = first.filter(|first| *first < end_s) else {
            let written = self
                .store
                .write_hours(table, until_s, Batch::default(), Some(end_s));
            return Ok(written.await?.map(|_| end_s));
        };
        let rows = self.rows.size();
        let to_s = self.store.chunk_end(table, from_s, rows).await?;
        let to_s = to_s.map_or(end_s, |to_s| to_s.min(end_s));
        self.store.clear_unfinished(table, until_s).await?;
        if !self.pause(After::Reading, begun, stop).await? {
            return Ok(None);
        }
        let (mut batch, mut longest) = (Batch::default(), Duration::ZERO);
        for column in &table.columns {
            let begun = Instant::now();
            self.store
                .sum_hours(table, column, (from_s, to_s), &mut batch)
                .await?;
            longest = longest.max(begun.elapsed());
            if !self.pause(After::Reading, begun, stop).await? {
                return Ok(None);
            }
            if batch.rows() >= BUFFERED && !self.write(table, until_s, &mut batch, stop).await? {
                return Ok(None);
            }
        }
        self.rows.note(longest, READ_AIM);
        while batch.rows() > self.hours.size() {
            if !self.write(table, until_s, &mut batch, stop).await? {
                return Ok(None);
            }
        }
        let (begun, count) = (Instant::now(), batch.hours.len() as u64);
        let written = self
            .store
            .write_hours(table, until_s, batch, Some(to_s))
            .await?;
        if written.is_some() {
            self.metrics.rollups.hours.inc_by(count);
        }
        let goes_on = written.is_some() && self.pause(After::Writing, begun, stop).await?;
        Ok(goes_on.then_some(to_s))
    }

    /// Writes a chunk of hours beyond the end, which stays.
    async fn write(
        &mut self,
        table: &RolledTable,
        until_s: i64,
        batch: &mut Batch,
        stop: &CancellationToken,
    ) -> Result<GoesOn> {
        let begun = Instant::now();
        let chunk = batch.take(self.hours.size());
        let count = chunk.hours.len() as u64;
        let Some(held) = self.store.write_hours(table, until_s, chunk, None).await? else {
            return Ok(false);
        };
        self.metrics.rollups.hours.inc_by(count);
        self.hours.note(held, self.store.rolling_aim());
        self.pause(After::Writing, begun, stop).await
    }

    /// Deletes the hours of dropped columns, and the marks of tables without rollups.
    async fn clear(&mut self, stop: &CancellationToken) -> Result<GoesOn> {
        for is_hours in [true, false] {
            loop {
                if !self.goes_on(stop).await? {
                    return Ok(false);
                }
                let (begun, size) = (Instant::now(), self.hours.size());
                let cleared = match is_hours {
                    true => self.store.clear_dropped_rollups(size).await?,
                    false => self.store.clear_marks(size).await?,
                };
                if !cleared.is_more {
                    break;
                }
                self.hours.note(cleared.held, self.store.rolling_aim());
                self.pause(After::Writing, begun, stop).await?;
            }
        }
        Ok(true)
    }

    fn lag_s(&self, until_s: i64) -> i64 {
        (self.store.now().timestamp() - until_s).max(0)
    }

    /// Leaves the machine to others for a time, after work that began then.
    async fn pause(
        &mut self,
        after: After,
        begun: Instant,
        stop: &CancellationToken,
    ) -> Result<GoesOn> {
        let pause = rest::pause(&self.store, after, begun.elapsed());
        let _ = tokio::time::timeout(pause, stop.cancelled()).await;
        self.goes_on(stop).await
    }

    async fn goes_on(&mut self, stop: &CancellationToken) -> Result<GoesOn> {
        Ok(!stop.is_cancelled() && self.lease.hold().await?)
    }
}
