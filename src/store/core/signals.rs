//! Signals that follow a commit: cache invalidation, and notifications of waiting tasks.
//!
//! Each transaction names its signals when it begins and may add more. They are sent once the database has answered
//! the COMMIT, even if the caller no longer waits (`transaction.rs`).

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{Notify, watch};

/// Signal that follows a commit.
#[derive(Debug, Clone)]
pub enum Then {
    /// Invalidates caches of a tenant. Has the stored epoch if hubs share the database.
    Moved(Arc<Epoch>, Option<u64>),
    /// Notifies subscribers of new records.
    News,
    /// Notifies the delivery engine of deliveries that are not passed to it otherwise.
    Work,
    /// Notifies the downlink engine of changes in its queue.
    Downlinks,
    /// Notifies the subscriptions of changes of network connections.
    Connections,
}

/// Channels that are notified after commits.
pub struct Signals {
    /// Sent whenever something was recorded.
    pub news: watch::Sender<()>,
    /// Notified when there are deliveries that are not passed to the delivery engine otherwise.
    pub work: Notify,
    /// Sent whenever the downlink queue has changed.
    pub downlinks: watch::Sender<()>,
    /// Sent whenever a network connection was changed.
    pub connections: watch::Sender<()>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            news: watch::Sender::new(()),
            work: Notify::new(),
            downlinks: watch::Sender::new(()),
            connections: watch::Sender::new(()),
        }
    }
}

impl Signals {
    /// Sends the signals of a commit; `is_certain` is true if the database has confirmed the commit.
    pub fn follow(&self, then: Vec<Then>, is_certain: bool) {
        for then in then {
            match then {
                Then::Moved(epoch, Some(stored)) if is_certain => epoch.learn(stored),
                Then::Moved(epoch, _) => epoch.move_on(),
                Then::News => {
                    self.news.send_replace(());
                }
                Then::Work => self.work.notify_one(),
                Then::Downlinks => {
                    self.downlinks.send_replace(());
                }
                Then::Connections => {
                    self.connections.send_replace(());
                }
            }
        }
    }
}

/// Number of changes of a tenant's configuration that this hub has noticed. It never decreases, so data read at one
/// value is invalid at any other.
#[derive(Debug, Default)]
pub struct Epoch {
    moves: AtomicU64,
    /// Greatest epoch of the tenant seen in a shared database.
    stored: Mutex<Option<u64>>,
}

impl Epoch {
    /// Returns the current value.
    pub fn now(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    /// Records that something has changed, or may have.
    pub fn move_on(&self) {
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    /// Moves the epoch if the committed epoch in the database is newer than those seen before.
    pub fn learn(&self, stored: u64) {
        let mut known = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| known < stored) {
            *known = Some(stored);
            self.move_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_moves_by_what_is_newer_alone() {
        let epoch = Epoch::default();
        // The first stored epoch always moves it, because cached data may be older.
        epoch.learn(5);
        assert_eq!(epoch.now(), 1);
        // A batch sees this hub's commit of 7 before the commit itself is finished.
        for stored in [7, 7, 6, 5] {
            epoch.learn(stored);
        }
        assert_eq!(epoch.now(), 2);
        epoch.learn(8);
        assert_eq!(epoch.now(), 3);
    }

    #[test]
    fn a_commit_without_an_answer_moves_the_epoch_and_teaches_nothing() {
        let (signals, epoch) = (Signals::default(), Arc::new(Epoch::default()));
        epoch.learn(5);
        let moved = || vec![Then::Moved(epoch.clone(), Some(6))];
        signals.follow(moved(), false);
        assert_eq!(epoch.now(), 2);
        // Another hub's change uses the same number.
        epoch.learn(6);
        assert_eq!(epoch.now(), 3);
        signals.follow(moved(), true);
        assert_eq!(epoch.now(), 3);
        signals.follow(vec![Then::Moved(epoch.clone(), None)], true);
        assert_eq!(epoch.now(), 4);
    }
}
