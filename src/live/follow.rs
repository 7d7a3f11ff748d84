//! One listener: what it has been told, and when to look again.

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
        live::{self, Happening, Interest},
    },
};

/// How far the clocks may lie apart of the hubs that make ids.
const LATENESS: TimeDelta = TimeDelta::seconds(5);
/// What takes longer than this to be committed is not waited for: a listener keeps what it has told meanwhile.
const LATE_MAX: TimeDelta = TimeDelta::minutes(10);
/// How often a listener reads all that may have turned up late, where a transaction is open for long.
const WHOLE_EVERY: Duration = Duration::from_secs(2);
/// Ids read in one statement.
const PAGE: u64 = 500;
/// Shortest time between two looks: what is recorded in between is told together.
pub(super) const REST: Duration = Duration::from_millis(100);
/// Longest time between two looks where other hubs record into the same database.
pub(super) const PATIENCE_SHARED: Duration = Duration::from_secs(1);
/// Longest time between two looks at whether the listener may still listen.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Where a stream starts.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// With what is recorded from now on.
    Now,
    /// Behind this id.
    Behind(Uuid),
}

/// One listener.
pub struct Follow<A> {
    store: Store,
    scope: Scope,
    interest: Interest,
    place: Place,
    news: watch::Receiver<()>,
    patience: Duration,
    ends_at: Instant,
    may_listen: A,
    /// Everything up to here has been told, or was there before the start.
    floor: Uuid,
    /// What has been told above the floor.
    told: BTreeSet<Uuid>,
    /// The next page of a look that is not over.
    page_after: Option<Uuid>,
    /// Nothing can turn up any more below this, as this look began.
    horizon: Uuid,
    /// Whether this look began at the floor.
    is_whole: bool,
    /// When the last look began that did.
    whole_at: Option<Instant>,
}

impl<A, F> Follow<A>
where
    A: Fn() -> F,
    F: Future<Output = bool>,
{
    /// Begins to listen for `duration`; zero tells what is there and ends. `may_listen` is asked from
    /// time to time.
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

    /// What to tell next, never nothing; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Vec<Happening>>> {
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

    /// Waits until it is worth looking; false at the end.
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

    /// One page of what has not been told.
    async fn look(&mut self) -> Result<Vec<Happening>> {
        let after = match self.page_after.take() {
            Some(after) => after,
            None => self.begin_to_look().await?,
        };
        let mut ids = live::ids(&self.scope, &self.interest, after, PAGE).await?;
        self.page_after = ids.next;
        ids.retain(|id| self.told.insert(id));
        // What is older than the horizon is complete, as far as the pages have come.
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

    /// Answers where to begin: at the floor, or, most of the time while a transaction holds it far back, at
    /// what is new.
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

/// The id below all that may still turn up.
async fn horizon(store: &Store) -> Result<Uuid> {
    let complete = store.complete_until().await?;
    Ok(first_at(complete.max(store.now() - LATE_MAX) - LATENESS))
}

/// The id below all that may still turn up, while no transaction takes long.
pub(super) fn moments_ago(now: Time) -> Uuid {
    first_at(now - LATENESS)
}

/// The id below all that may have turned up since this one was told.
fn below(id: Uuid) -> Uuid {
    let milliseconds = i64::try_from(id.as_u128() >> 80).unwrap_or(0);
    first_of(milliseconds - LATENESS.num_milliseconds())
}

fn first_at(time: Time) -> Uuid {
    first_of(time.timestamp_millis())
}

/// Below all UUIDv7 of this millisecond and later: its first 48 bits are the time.
fn first_of(milliseconds: i64) -> Uuid {
    Uuid::from_u128(u128::try_from(milliseconds).unwrap_or(0) << 80)
}
