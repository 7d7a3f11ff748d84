//! Mark of messages that arrive, for background work that gives way to them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Time after a message for which the hub counts as busy.
const BUSY_FOR: Duration = Duration::from_secs(1);

/// Time of the last message.
pub struct Arrivals {
    begun: Instant,
    /// Milliseconds from `begun` until the hub is not busy any more.
    busy_until_ms: AtomicU64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            busy_until_ms: AtomicU64::new(0),
        }
    }
}

impl Arrivals {
    /// Notes that messages arrive at this time.
    pub fn note(&self, now: Instant) {
        let until_ms = self.since_begun_ms(now + BUSY_FOR);
        self.busy_until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// True if messages have arrived shortly before this time.
    pub fn are_recent(&self, now: Instant) -> bool {
        self.since_begun_ms(now) < self.busy_until_ms.load(Ordering::Relaxed)
    }

    fn since_begun_ms(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.begun);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_busy_until_a_second_after_a_message() {
        let arrivals = Arrivals::default();
        let at = |ms| arrivals.begun + Duration::from_millis(ms);
        assert!(!arrivals.are_recent(at(0)));
        arrivals.note(at(10));
        assert!(arrivals.are_recent(at(10)));
        assert!(arrivals.are_recent(at(900)));
        arrivals.note(at(1000));
        assert!(arrivals.are_recent(at(1999)));
        assert!(!arrivals.are_recent(at(2000)));
    }
}
