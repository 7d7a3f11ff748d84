//! Inbox of a lane: receives recorded deliveries without a detour through the database.
//!
//! The database is the queue; the inbox only avoids reading back what the writer has just recorded. It
//! is open while its lane has read all due deliveries. Deliveries that it does not accept, because it
//! is closed or full or there is no lane, wait in the database for the lane's next read. Deliveries
//! that keep the order of a device never use the inbox, because only the database knows older ones.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, futures::Notified};

use crate::store::deliveries::Delivery;

/// Maximum number of deliveries in an inbox.
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
    /// True if the lane must read the integration again.
    has_changed: bool,
    waiting: Vec<Delivery>,
}

/// Content of an inbox.
pub struct Found {
    /// Recorded deliveries that are due and keep no order.
    pub deliveries: Vec<Delivery>,
    /// True if the lane now knows all due deliveries.
    pub is_all: bool,
    /// True if the integration must be read again before anything else.
    pub has_changed: bool,
}

impl Inbox {
    /// Accepts recorded deliveries if the inbox is open and has room; `None` stands for a delivery that is
    /// only in the database.
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

    /// Notifies the lane of deliveries that are only in the database.
    pub fn note_more(&self) {
        self.lock().is_open = false;
        self.notify.notify_one();
    }

    /// Notifies the lane that the integration has changed.
    pub fn note_change(&self) {
        let mut state = self.lock();
        *state = State {
            has_changed: true,
            ..State::default()
        };
        drop(state);
        self.notify.notify_one();
    }

    /// Completes when there is a notification.
    pub fn notified(&self) -> Notified<'_> {
        self.notify.notified()
    }

    /// Opens the inbox. Earlier deliveries must be read from the database.
    pub fn open(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        state.is_open = true;
    }

    /// Closes the inbox, because the database has more than the lane has read.
    pub fn close(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        state.is_open = false;
    }

    /// Takes the content of the inbox.
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
