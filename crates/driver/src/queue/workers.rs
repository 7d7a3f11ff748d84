//! The queue while there is no worker.
//!
//! If no worker can be started, calls fail at once: the sender of an uplink that waited for one would time
//! out, and the uplink would be recorded nowhere.

use super::super::job::no_worker;
use super::super::observer::PoolState;
use super::Queue;

impl Queue {
    /// Returns true if there is a worker, or may be one in a moment.
    pub fn is_available(&self) -> bool {
        !self.lock().unavailable
    }

    /// Returns the current state of the pool.
    pub fn pool_state(&self) -> PoolState {
        let state = self.lock();
        PoolState {
            waiting: state.waiting,
            workers: state.serving,
            busy: state.busy,
        }
    }

    /// Records that a worker has ended.
    pub fn worker_lost(&self) {
        let mut state = self.lock();
        state.serving = state.serving.saturating_sub(1);
    }

    /// Records that a worker does not start.
    pub fn start_failed(&self) {
        self.lock().start_fails = true;
    }

    /// Records that a worker has started in place of one that ended.
    pub fn worker_found(&self) {
        let mut state = self.lock();
        state.serving += 1;
        state.start_fails = false;
        let was_unavailable = std::mem::take(&mut state.unavailable);
        drop(state);
        if was_unavailable {
            tracing::warn!("driver workers start again: uplinks are decoded from now on");
        }
    }

    /// Fails all waiting calls, and all calls from now on, until there is a worker. If there is one, calls
    /// wait for it.
    pub fn give_up_without_worker(&self) {
        let mut state = self.lock();
        if state.serving > 0 || state.closed {
            return;
        }
        let was_unavailable = std::mem::replace(&mut state.unavailable, true);
        state.waiting = 0;
        let mut waiting = Vec::new();
        for tenant in state.tenants.values_mut() {
            waiting.extend(tenant.quick.jobs.drain(..));
            waiting.extend(tenant.slow.jobs.drain(..));
        }
        drop(state);
        if !was_unavailable {
            tracing::error!(
                "no driver worker can be started: uplinks are recorded without being decoded \
                 until one starts"
            );
        }
        for job in waiting {
            job.answer(Err(no_worker()));
        }
    }
}
