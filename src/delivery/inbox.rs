//! Where what was just recorded comes to a lane without a detour over the database.
//!
//! The database is the queue; this only spares reading from it what the writer has had in its hands a
//! moment ago. So an inbox is open while its lane has all that is due, and whatever it does not take
//! waits in the database for the lane's next look: because it was closed, or full, or because there is
//! no lane. What keeps a device's order never comes this way: only the database knows what is older.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, futures::Notified};

use crate::store::deliveries::Delivery;

/// Deliveries that wait here at most.
const WAITING_MAX: usize = 512;

/// The inbox of one lane.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    notify: Notify,
}

#[derive(Default)]
struct State {
    is_open: bool,
    /// Whether the integration may be another than the lane believes.
    has_changed: bool,
    waiting: Vec<Delivery>,
}

/// What a lane finds.
pub struct Found {
    /// Recorded, due, and of no order.
    pub deliveries: Vec<Delivery>,
    /// Whether these are all there is, besides what the lane knows of.
    pub is_all: bool,
    /// Whether the integration is to be read before anything else is done.
    pub has_changed: bool,
}

impl Inbox {
    /// Takes what was just recorded, as far as it may.
    pub fn hand_over(&self, deliveries: Vec<Option<Delivery>>) {
        {
            let mut state = self.lock();
            let is_room = state.waiting.len() + deliveries.len() <= WAITING_MAX;
            if state.is_open && is_room {
                state.is_open = deliveries.iter().all(Option::is_some);
                state.waiting.extend(deliveries.into_iter().flatten());
            } else {
                state.is_open = false;
            }
        }
        self.notify.notify_one();
    }

    /// Tells of work that is in the database alone.
    pub fn has_more(&self) {
        self.lock().is_open = false;
        self.notify.notify_one();
    }

    /// Tells that the integration has changed.
    pub fn has_changed(&self) {
        let mut state = self.lock();
        *state = State {
            has_changed: true,
            ..State::default()
        };
        drop(state);
        self.notify.notify_one();
    }

    /// Ends when there is something to look at.
    pub fn notified(&self) -> Notified<'_> {
        self.notify.notified()
    }

    /// From now on everything is handed over: what was recorded before is in the database.
    pub fn open(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        state.is_open = true;
    }

    /// There is more in the database than the lane has.
    pub fn close(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        state.is_open = false;
    }

    /// What has come.
    pub fn take(&self) -> Found {
        let mut state = self.lock();
        Found {
            deliveries: std::mem::take(&mut state.waiting),
            is_all: state.is_open,
            has_changed: std::mem::take(&mut state.has_changed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
