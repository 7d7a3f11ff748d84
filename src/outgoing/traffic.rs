//! What has gone over a connection for HTTP, as far as it tells whether a request was answered.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::time::{Duration, Instant};

/// How long a connection is used: a name that resolves to another address is followed by then.
const LIFE_MAX: Duration = Duration::from_secs(60);

/// One connection's traffic. Cheap to clone.
#[derive(Clone)]
pub struct Traffic(Arc<Seen>);

struct Seen {
    since: Instant,
    /// Requests that were begun.
    requests: AtomicUsize,
    /// Whether anything has come since the last one was begun.
    is_heard: AtomicBool,
}

impl Traffic {
    /// A connection that was opened just now.
    pub fn new() -> Self {
        Self(Arc::new(Seen {
            since: Instant::now(),
            requests: AtomicUsize::new(0),
            is_heard: AtomicBool::new(true),
        }))
    }

    /// Something is about to be sent, or fails to be: after an answer, it is another request.
    pub fn sending(&self) {
        if self.0.is_heard.swap(false, Ordering::Relaxed) {
            self.0.requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something came.
    pub fn heard(&self) {
        self.0.is_heard.store(true, Ordering::Relaxed);
    }

    /// Whether the last request was not the first one.
    pub fn is_reused(&self) -> bool {
        self.0.requests.load(Ordering::Relaxed) > 1
    }

    /// Whether the connection had served a request, and nothing came of the next one: its server has
    /// closed it, most likely before it read that one.
    pub fn is_unanswered(&self) -> bool {
        self.is_reused() && !self.0.is_heard.load(Ordering::Relaxed)
    }

    /// Whether the connection has been used for long enough.
    pub fn is_old(&self) -> bool {
        self.0.since.elapsed() >= LIFE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_follows_an_answer_can_be_unanswered() {
        let traffic = Traffic::new();
        traffic.sending();
        traffic.sending();
        assert!(!traffic.is_unanswered(), "the first request is no other");
        traffic.heard();
        assert!(!traffic.is_unanswered());
        traffic.sending();
        assert!(traffic.is_unanswered());
        traffic.heard();
        assert!(traffic.is_reused() && !traffic.is_unanswered());
        assert!(!traffic.is_old());
    }
}
