//! Duration of background transactions, and the pauses between them.

use std::time::{Duration, Instant};

use super::scope::Scope;
use crate::store::Store;

/// Shortest pause between two background transactions.
const BREATH: Duration = Duration::from_millis(50);
/// Pause after a background transaction on SQLite, in times of its duration. Fifteen sixteenths of the writer's time remain
/// for others.
const SHARE: u32 = 15;
/// Longest pause: a transaction that has waited for others says little about its own cost, and a hub that stops waits for
/// the pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Pause after a background read, in times of its duration: the reads take at most a fifth of a core. On PostgreSQL they
/// take a tenth, because what is made of them is then written by processes of the same machine or of a busier one.
const READ_SHARE: u32 = 4;
const READ_SHARE_SHARED: u32 = 9;
/// Longest pause after a background read.
const READ_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Pause after a step of a job while messages arrive, in times of its duration: a quarter of the writer's time is the
/// job's.
const STEP_SHARE: u32 = 3;

impl Store {
    /// True while messages of network servers arrive, and for a second after the last one.
    pub fn is_recording(&self) -> bool {
        self.inner.arrivals.are_recent(Instant::now())
    }

    /// Returns the target duration of a background transaction. An SQLite file has one writer, which everyone else
    /// waits for; PostgreSQL writers do not block each other, and each transaction has a higher cost.
    pub fn hold_aim(&self) -> Duration {
        match self.is_shared() {
            true => Duration::from_secs(1),
            false => Duration::from_millis(10),
        }
    }

    /// Returns the pause after a background transaction that took this time with its search and COMMIT.
    pub fn pause_after(&self, took: Duration) -> Duration {
        match self.is_shared() {
            true => BREATH,
            false => pause_of_one_writer(took),
        }
    }

    /// Returns the pause after a step of a job that took this time: none unless messages arrive.
    pub fn pause_after_step(&self, took: Duration) -> Duration {
        match self.is_recording() {
            true => took.saturating_mul(STEP_SHARE).min(PAUSE_MAX),
            false => Duration::ZERO,
        }
    }

    /// Returns the pause after a background read that took this time. Reads hold nobody up, but use the processor.
    pub fn pause_after_read(&self, took: Duration) -> Duration {
        let share = match self.is_shared() {
            true => READ_SHARE_SHARED,
            false => READ_SHARE,
        };
        took.saturating_mul(share).min(READ_PAUSE_MAX)
    }
}

impl Scope {
    /// Returns the target duration of a transaction that is one of many.
    pub fn hold_aim(&self) -> Duration {
        self.store.hold_aim()
    }

    /// Returns the pause after a transaction that is one of many and took this time.
    pub fn pause_after(&self, took: Duration) -> Duration {
        self.store.pause_after(took)
    }
}

fn pause_of_one_writer(took: Duration) -> Duration {
    took.saturating_mul(SHARE).clamp(BREATH, PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_with_the_transaction_within_bounds() {
        let pause = |ms| pause_of_one_writer(Duration::from_millis(ms)).as_millis();
        assert_eq!([0, 1, 10, 60].map(pause), [50, 50, 150, 900]);
        assert_eq!(pause(15_000), 1000);
        assert_eq!(pause_of_one_writer(Duration::MAX), PAUSE_MAX);
    }
}
