//! Duration of background transactions, and the pauses between them.

use std::time::Duration;

use super::scope::Scope;
use crate::store::Store;

/// Shortest pause between two background transactions.
const BREATH: Duration = Duration::from_millis(50);
/// Pause after a background transaction on SQLite, in times of its duration. Fifteen sixteenths of the writer's time remain
/// for others.
const SHARE: u32 = 15;

impl Store {
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
            false => BREATH.max(took * SHARE),
        }
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
