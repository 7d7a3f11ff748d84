//! How long background work may keep a writer of the database.

use std::time::Duration;

use crate::store::Store;

impl Store {
    /// How long a transaction in the background may take. An SQLite file has one writer, which all others wait
    /// for. PostgreSQL has one for each of them, and each transaction costs more.
    pub fn hold_aim(&self) -> Duration {
        match self.is_shared() {
            true => Duration::from_secs(1),
            false => Duration::from_millis(15),
        }
    }
}
