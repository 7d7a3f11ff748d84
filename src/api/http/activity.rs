//! The state of one connection, from which follows how long it may stay open.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use poem::http::Version;
use tokio::time::{Instant, sleep_until};

/// Longest time between two requests. Load balancers keep their connections for 60 seconds, and must be the
/// ones to close them.
const IDLE_MAX: Duration = Duration::from_secs(75);

/// The state of a connection.
pub struct Activity {
    state: Mutex<State>,
    /// Set while the peer has to take something before more can be written.
    is_stalled: AtomicBool,
    head_timeout: Duration,
}

struct State {
    /// Requests whose answers have not been handed over in full.
    running: usize,
    /// When the last of them was over.
    idle_since: Instant,
    /// When the first byte of the next head arrived.
    head_since: Option<Instant>,
    /// HTTP/2 has frames beside requests, so that a byte is not the begin of a head.
    is_http2: bool,
}

/// Why a connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A head has begun and does not come to its end.
    Late,
    /// There was no request for a while.
    Idle,
}

/// A request that runs, until it is dropped.
pub struct Running(Arc<Activity>);

impl Activity {
    /// The state of a connection that was just opened.
    pub fn new(head_timeout: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                running: 0,
                idle_since: Instant::now(),
                head_since: None,
                is_http2: false,
            }),
            is_stalled: AtomicBool::new(false),
            head_timeout,
        }
    }

    /// Notes that the connection is one of HTTP/2.
    pub fn note_http2(&self) {
        self.lock().is_http2 = true;
    }

    /// Notes that something was read.
    pub fn note_read(&self) {
        let mut state = self.lock();
        if state.running == 0 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// Notes whether the peer has to take something.
    pub fn set_stalled(&self, is_stalled: bool) {
        self.is_stalled.store(is_stalled, Ordering::Relaxed);
    }

    /// Notes a request whose head has arrived.
    pub fn begin(self: &Arc<Self>, version: Version) -> Running {
        let mut state = self.lock();
        state.running += 1;
        state.head_since = None;
        state.is_http2 |= version == Version::HTTP_2;
        Running(self.clone())
    }

    /// True while the hub itself has nothing to do for this connection.
    pub fn is_at_rest(&self) -> bool {
        self.is_stalled.load(Ordering::Relaxed) || self.lock().running == 0
    }

    /// Waits until the connection has to end.
    pub async fn end(&self) -> End {
        loop {
            let due = self.due();
            let now = Instant::now();
            match due {
                Some((at, end)) if at <= now => return end,
                // What begins meanwhile is due no earlier than that.
                _ => {
                    let look_at = now + self.head_timeout;
                    sleep_until(due.map_or(look_at, |(at, _)| at.min(look_at))).await;
                }
            }
        }
    }

    fn due(&self) -> Option<(Instant, End)> {
        let state = self.lock();
        if state.running > 0 {
            return None;
        }
        match state.head_since {
            Some(since) if !state.is_http2 => Some((since + self.head_timeout, End::Late)),
            _ => Some((state.idle_since + IDLE_MAX, End::Idle)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        state.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(15);

    fn opened() -> (Arc<Activity>, Instant) {
        let before = Instant::now();
        (Arc::new(Activity::new(HEAD)), before)
    }

    #[test]
    fn an_idle_connection_lasts_longer_than_a_head() {
        let (activity, opened_at) = opened();
        let (idle_until, end) = activity.due().unwrap();
        assert_eq!(end, End::Idle);
        assert!(idle_until >= opened_at + IDLE_MAX);

        activity.note_read();
        let (at, end) = activity.due().unwrap();
        assert_eq!(end, End::Late);
        assert!(at < idle_until);
        // A byte now and then changes nothing.
        activity.note_read();
        assert_eq!(activity.due(), Some((at, End::Late)));
    }

    #[test]
    fn a_request_that_runs_has_bounds_of_its_own() {
        let (activity, _) = opened();
        activity.note_read();
        let first = activity.begin(Version::HTTP_11);
        let second = activity.begin(Version::HTTP_11);
        drop(first);
        // The next head may arrive with the body of this one.
        activity.note_read();
        assert_eq!(activity.due(), None);
        assert!(!activity.is_at_rest());
        activity.set_stalled(true);
        assert!(activity.is_at_rest());
        activity.set_stalled(false);
        drop(second);
        assert!(activity.is_at_rest());
        assert_eq!(activity.due().unwrap().1, End::Idle);
    }

    #[test]
    fn frames_of_http2_are_no_heads() {
        let (activity, _) = opened();
        drop(activity.begin(Version::HTTP_2));
        activity.note_read();
        assert_eq!(activity.due().unwrap().1, End::Idle);
        let (negotiated, _) = opened();
        negotiated.note_http2();
        negotiated.note_read();
        assert_eq!(negotiated.due().unwrap().1, End::Idle);
    }
}
