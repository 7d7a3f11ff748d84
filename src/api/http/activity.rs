//! State of one connection, which decides how long the connection may stay open.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use poem::http::Version;
use tokio::time::{Instant, sleep_until};

/// Longest time between two requests. Longer than the 60 seconds for which load balancers usually keep a
/// connection, so that the balancer closes it first.
const IDLE_MAX: Duration = Duration::from_secs(75);

/// State of one connection.
pub struct Activity {
    state: Mutex<State>,
    /// Set while a write waits for the peer to read.
    is_stalled: AtomicBool,
    head_timeout: Duration,
}

struct State {
    /// Number of requests whose responses have not been handed over in full.
    running: usize,
    /// Time at which the last request ended.
    idle_since: Instant,
    /// Time at which the first byte of the next request head arrived.
    head_since: Option<Instant>,
    /// True for HTTP/2, which sends frames besides requests: a byte read there does not mean that a head has
    /// begun.
    is_http2: bool,
}

/// Reason for which a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The head of a request began and did not end in time.
    Late,
    /// No request arrived for `IDLE_MAX`.
    Idle,
}

/// Marks a request as running until dropped.
pub struct Running(Arc<Activity>);

impl Activity {
    /// Returns the state of a connection that was just opened.
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

    /// Records that the connection speaks HTTP/2.
    pub fn note_http2(&self) {
        self.lock().is_http2 = true;
    }

    /// Records that bytes were read.
    pub fn note_read(&self) {
        let mut state = self.lock();
        if state.running == 0 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// Records whether a write waits for the peer to read.
    pub fn set_stalled(&self, is_stalled: bool) {
        self.is_stalled.store(is_stalled, Ordering::Relaxed);
    }

    /// Records a request whose head has arrived.
    pub fn begin(self: &Arc<Self>, version: Version) -> Running {
        let mut state = self.lock();
        state.running += 1;
        state.head_since = None;
        state.is_http2 |= version == Version::HTTP_2;
        Running(self.clone())
    }

    /// True while the hub has no work for this connection: no request runs, or the peer does not read.
    pub fn is_at_rest(&self) -> bool {
        self.is_stalled.load(Ordering::Relaxed) || self.lock().running == 0
    }

    /// Waits until the connection has to be ended.
    pub async fn end(&self) -> End {
        loop {
            let due = self.due();
            let now = Instant::now();
            match due {
                Some((at, end)) if at <= now => return end,
                // A deadline that is set in the meantime is not earlier than `look_at`.
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
        // Further bytes do not extend the deadline.
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
        // The next head may arrive together with the body of this request.
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
