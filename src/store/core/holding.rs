//! Duration of background transactions, and the pauses between them.

use std::time::{Duration, Instant};

use super::scope::Scope;
use crate::store::Store;

/// Shortest pause between two background transactions.
const BREATH: Duration = Duration::from_millis(20);
/// Pause after a background transaction while messages arrive, in times of its duration: fifteen sixteenths of the time of
/// SQLite's writer remain for them. PostgreSQL's writers share the machine and its disk.
const SHARE: u32 = 15;
/// Pause on SQLite if none arrive: three quarters remain for others.
const SHARE_IDLE: u32 = 3;
/// Longest pause: a transaction that has waited for others says little about its own cost, and a hub that stops waits for
/// the pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Pause after a background read while messages arrive, in times of its duration: the reads take at most a fifth of a
/// core.
const READ_SHARE: f64 = 4.0;
/// Addition to that if messages are written all the time: the reads then take an eightieth of a core.
const READ_SHARE_BUSY: f64 = 76.0;
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

    /// Returns the target duration of a transaction of an import, which somebody waits for. An SQLite file has one writer,
    /// which everyone else waits for; PostgreSQL writers do not block each other, and each transaction has a higher cost.
    pub fn hold_aim(&self) -> Duration {
        match self.is_shared() {
            true => Duration::from_secs(1),
            false => Duration::from_millis(10),
        }
    }

    /// Returns the target duration of a transaction that deletes. Nobody waits for it, so it is shorter while messages
    /// arrive, which on SQLite wait for it.
    pub fn clearing_aim(&self) -> Duration {
        match self.is_recording() && !self.is_shared() {
            true => Duration::from_millis(5),
            false => self.rolling_aim(),
        }
    }

    /// Returns the target duration of a transaction that rolls up. Nobody waits for it, so on PostgreSQL it is shorter
    /// while messages arrive.
    pub fn rolling_aim(&self) -> Duration {
        match self.is_recording() && self.is_shared() {
            true => Duration::from_millis(20),
            false => self.hold_aim(),
        }
    }

    /// Returns the pause after a background transaction that took this time with its search and COMMIT.
    pub fn pause_after(&self, took: Duration) -> Duration {
        match (self.is_recording(), self.is_shared()) {
            (true, _) => pause_of(SHARE, took),
            (false, true) => BREATH,
            (false, false) => pause_of(SHARE_IDLE, took),
        }
    }

    /// Returns the pause after a step of a job that took this time: none unless messages arrive.
    pub fn pause_after_step(&self, took: Duration) -> Duration {
        match self.is_recording() {
            true => took.saturating_mul(STEP_SHARE).min(PAUSE_MAX),
            false => Duration::ZERO,
        }
    }

    /// Returns the pause after a background read that took this time. Reads hold nobody up, but use the processor: the more
    /// of the time it takes to write the messages that arrive, the longer is the pause.
    pub fn pause_after_read(&self, took: Duration) -> Duration {
        pause_of_reader(took, self.inner.arrivals.share(Instant::now()))
    }
}

impl Scope {
    /// Returns the target duration of a transaction of an import.
    pub fn hold_aim(&self) -> Duration {
        self.store.hold_aim()
    }

    /// Returns the target duration of a transaction that deletes a part of many rows.
    pub fn clearing_aim(&self) -> Duration {
        self.store.clearing_aim()
    }

    /// Returns the pause after a transaction that is one of many and took this time.
    pub fn pause_after(&self, took: Duration) -> Duration {
        self.store.pause_after(took)
    }
}

fn pause_of(share: u32, took: Duration) -> Duration {
    took.saturating_mul(share).clamp(BREATH, PAUSE_MAX)
}

fn pause_of_reader(took: Duration, share: f64) -> Duration {
    let pause_s = took.as_secs_f64() * (READ_SHARE + READ_SHARE_BUSY * share);
    Duration::from_secs_f64(pause_s.min(READ_PAUSE_MAX.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_after_a_read_grows_with_the_time_that_messages_take() {
        let pause = |ms, share| pause_of_reader(Duration::from_millis(ms), share).as_millis();
        assert_eq!(
            [0.0, 0.5, 1.0].map(|share| pause(10, share)),
            [40, 420, 800]
        );
        assert_eq!(pause(5000, 0.0), 10_000);
        assert_eq!(pause_of_reader(Duration::MAX, 1.0), READ_PAUSE_MAX);
    }

    #[test]
    fn a_pause_grows_with_the_transaction_within_bounds() {
        let pause = |ms| pause_of(SHARE, Duration::from_millis(ms)).as_millis();
        assert_eq!([0, 1, 10, 60].map(pause), [20, 20, 150, 900]);
        assert_eq!(pause(15_000), 1000);
        assert_eq!(pause_of(SHARE, Duration::MAX), PAUSE_MAX);
    }
}
