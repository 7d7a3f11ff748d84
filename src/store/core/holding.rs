//! How long background work may keep a writer of the database.

use std::time::Duration;

use crate::store::Store;

impl Store {
    /// How long a transaction in the background may take. An SQLite file has one writer, which all others wait
    /// for; PostgreSQL has one for each of them, and more work for each transaction.
    pub fn hold_aim(&self) -> Duration {
        Duration::from_millis(if self.is_shared() { 150 } else { 15 })
    }
}
