//! A single subscription: the events already sent, and the schedule of polls.

use std::{collections::BTreeSet, future::Future, time::Duration};

use chrono::TimeDelta;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::places::Place;
use crate::{
    clock::Time,
    error::Result,
    store::{
        Scope, Store,
        live::{self, Interest, LiveRecord},
    },
};

/// Maximum difference between the clocks of the hubs that generate ids.
const LATENESS: TimeDelta = TimeDelta::seconds(5);
/// Maximum time to wait for an open transaction to commit: until then, a listener must remember the ids that
/// it has sent.
const LATE_MAX: TimeDelta = TimeDelta::minutes(10);
/// Interval between two complete reads, which find late commits, while a transaction is open for long.
const WHOLE_EVERY: Duration = Duration::from_secs(2);
/// Number of ids read in one statement.
const PAGE: u64 = 500;
/// Minimum time between two polls: events recorded in between are sent together.
pub(super) const REST: Duration = Duration::from_millis(100);
/// Maximum time between two polls if other hubs write to the same database.
pub(super) const PATIENCE_SHARED: Duration = Duration::from_secs(1);
/// Maximum time between two checks of the listener's permission.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The starting point of a stream.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// At events that are recorded from now on.
    Now,
    /// After this id.
    Behind(Uuid),
}

/// A single subscription.
pub struct Follow<A> {
    store: Store,
    scope: Scope,
    interest: Interest,
    place: Place,
    news: watch::Receiver<()>,
    patience: Duration,
    ends_at: Instant,
    may_listen: A,
    /// All ids up to here have been sent, or existed before the start.
    floor: Uuid,
    /// Ids above the floor that have been sent.
    told: BTreeSet<Uuid>,
    /// Start of the next page of an unfinished poll.
    page_after: Option<Uuid>,
    /// No new ids can appear below this one; as of the start of the current poll.
    horizon: Uuid,
    /// True if the current poll began at the floor.
    is_whole: bool,
    /// Start of the last poll that began at the floor.
    whole_at: Option<Instant>,
}

impl<A, F> Follow<A>
where
    A: Fn() -> F,
    F: Future<Output = bool>,
{
    /// Begins to listen for `duration`; zero sends the existing events and ends. `may_listen` is called from
    /// time to time to check the permission.
    pub async fn begin(
        store: &Store,
        scope: Scope,
        interest: Interest,
        start: Start,
        duration: Duration,
        place: Place,
        may_listen: A,
    ) -> Result<Self> {
        let mut news = store.news();
        news.mark_changed();
        let horizon = horizon(store).await?;
        let mut follow = Self {
            store: store.clone(),
            scope,
            interest,
            place,
            news,
            patience: if store.has_other_writers() {
                PATIENCE_SHARED
            } else {
                PATIENCE
            },
            ends_at: Instant::now() + duration,
            may_listen,
            floor: horizon,
            told: BTreeSet::new(),
            page_after: None,
            horizon,
            is_whole: true,
            whole_at: None,
        };
        match start {
            Start::Now => follow.skip_what_is_there().await?,
            Start::Behind(id) => {
                follow.floor = below(id).min(horizon);
                follow.told.insert(id);
            }
        }
        Ok(follow)
    }

    /// Waits for the next events, at least one; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Result<Vec<LiveRecord>>> {
        loop {
            if self.page_after.is_none() && !self.wait().await {
                return None;
            }
            match self.look().await {
                Ok(happenings) if happenings.is_empty() => {}
                told => return Some(told),
            }
        }
    }

    /// Waits until a poll makes sense; false at the end of the stream.
    async fn wait(&mut self) -> bool {
        loop {
            if self.place.stop.is_cancelled() {
                return false;
            }
            let left = self.ends_at.saturating_duration_since(Instant::now());
            if left.is_zero() && !self.has_news() {
                return false;
            }
            let patience = left.min(self.patience);
            let changed = tokio::select! {
                () = self.place.stop.cancelled() => return false,
                changed = timeout(patience, self.news.changed()) => changed,
            };
            if !(self.may_listen)().await {
                return false;
            }
            match changed {
                Ok(Ok(())) => {
                    sleep(REST.min(left)).await;
                    self.news.mark_unchanged();
                    return true;
                }
                Ok(Err(_)) => return false,
                Err(_) if self.patience == PATIENCE_SHARED => return true,
                Err(_) => {}
            }
        }
    }

    fn has_news(&self) -> bool {
        self.news.has_changed().unwrap_or(false)
    }

    /// Reads one page of events that have not been sent.
    async fn look(&mut self) -> Result<Vec<LiveRecord>> {
        let after = match self.page_after.take() {
            Some(after) => after,
            None => self.begin_to_look().await?,
        };
        let mut ids = live::ids(&self.scope, &self.interest, after, PAGE).await?;
        self.page_after = ids.next;
        ids.retain(|id| self.told.insert(id));
        // Below the horizon, all ids are known as far as the pages have been read.
        let complete = ids.next.map_or(self.horizon, |next| next.min(self.horizon));
        if self.is_whole && complete > self.floor {
            self.floor = complete;
            self.told = self.told.split_off(&complete);
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        live::read(&self.scope, &ids).await
    }

    /// Returns the id at which to begin a poll: the floor or, most of the time while an open transaction
    /// holds the floor far back, the recent ids.
    async fn begin_to_look(&mut self) -> Result<Uuid> {
        self.horizon = horizon(&self.store).await?;
        let recent = first_at(self.store.now() - LATENESS * 2);
        let is_due = |at: Instant| at.elapsed() >= WHOLE_EVERY;
        self.is_whole = self.floor >= recent || self.whole_at.is_none_or(is_due);
        if self.is_whole {
            self.whole_at = Some(Instant::now());
            return Ok(self.floor);
        }
        Ok(recent)
    }

    async fn skip_what_is_there(&mut self) -> Result<()> {
        let mut after = self.floor;
        loop {
            let mut ids = live::ids(&self.scope, &self.interest, after, PAGE).await?;
            ids.retain(|id| self.told.insert(id));
            match ids.next {
                Some(next) => after = next,
                None => return Ok(()),
            }
        }
    }
}

/// Returns an id below all ids that may still appear.
async fn horizon(store: &Store) -> Result<Uuid> {
    let complete = store.complete_until().await?;
    Ok(first_at(complete.max(store.now() - LATE_MAX) - LATENESS))
}

/// Returns an id below all ids that may still appear, provided that no transaction is open for long.
pub(super) fn moments_ago(now: Time) -> Uuid {
    first_at(now - LATENESS)
}

/// Returns an id below all ids that may have appeared since this one was sent.
fn below(id: Uuid) -> Uuid {
    let milliseconds = i64::try_from(id.as_u128() >> 80).unwrap_or(0);
    first_of(milliseconds - LATENESS.num_milliseconds())
}

fn first_at(time: Time) -> Uuid {
    first_of(time.timestamp_millis())
}

/// Returns an id below all UUIDv7 of this millisecond and later: their first 48 bits are the time.
fn first_of(milliseconds: i64) -> Uuid {
    Uuid::from_u128(u128::try_from(milliseconds).unwrap_or(0) << 80)
}
