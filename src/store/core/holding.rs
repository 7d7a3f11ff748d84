//! Maximum duration of background transactions.

use std::time::Duration;

use super::scope::Scope;
use crate::store::Store;

impl Store {
    /// Returns the target duration of a background transaction. An SQLite file has one writer, which everyone else
    /// waits for; PostgreSQL writers do not block each other, and each transaction has a higher cost.
    pub fn hold_aim(&self) -> Duration {
        match self.is_shared() {
            true => Duration::from_secs(1),
            false => Duration::from_millis(15),
        }
    }
}

impl Scope {
    /// Returns the target duration of a transaction that is one of many.
    pub fn hold_aim(&self) -> Duration {
        self.store.hold_aim()
    }
}
