//! What must follow a commit: who keeps something ready that is out of date now, and who waits for news.
//!
//! Each transaction says as it begins what follows it, and may find more to follow on its way. It is done
//! when the database has answered the COMMIT, whoever still waits for that (`transaction.rs`).

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{Notify, watch};

/// One thing that must follow a commit.
#[derive(Debug, Clone)]
pub enum Then {
    /// What is kept ready of a tenant is out of date. With the tenant's epoch in the database, where hubs
    /// share one.
    Moved(Arc<Epoch>, Option<u64>),
    /// Whoever follows what is recorded looks again.
    News,
    /// The delivery engine looks for deliveries that nobody else tells it of.
    Work,
    /// The downlink engine looks at its queue.
    Downlinks,
    /// The subscriptions look at the network connections.
    Connections,
}

/// What waits for commits.
pub struct Signals {
    /// Sent whenever something was recorded.
    pub news: watch::Sender<()>,
    /// Told when there are deliveries that nobody else tells the delivery engine of.
    pub work: Notify,
    /// Sent whenever there are downlinks to look at.
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
    /// Does what follows a commit; `is_certain`: the database has said that it is committed.
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

/// How often this hub has noticed a change of what a tenant has provisioned. It never goes back, so what
/// was read at one value counts at no other.
#[derive(Debug, Default)]
pub struct Epoch {
    moves: AtomicU64,
    /// The greatest epoch that was seen of the tenant in a database that hubs share.
    stored: Mutex<Option<u64>>,
}

impl Epoch {
    /// The value now.
    pub fn now(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    /// Something has changed, or may have.
    pub fn move_on(&self) {
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes note of the epoch that is committed in the database. An older one is no news.
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
        // What was read before anything was learned may be as old as it likes.
        epoch.learn(5);
        assert_eq!(epoch.now(), 1);
        // This hub's commit of 7 is seen by a batch before the commit itself is through.
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
        // Another hub's change has the number now.
        epoch.learn(6);
        assert_eq!(epoch.now(), 3);
        signals.follow(moved(), true);
        assert_eq!(epoch.now(), 3);
        signals.follow(vec![Then::Moved(epoch.clone(), None)], true);
        assert_eq!(epoch.now(), 4);
    }
}
