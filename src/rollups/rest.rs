//! Pauses of the job, which leave the processor and the writer to uplinks while there are any.

use std::time::Duration;

use tokio::time::Instant;

use crate::{metrics::Metrics, store::Store};

/// Time after a message of a network server for which the hub counts as busy.
const BUSY_FOR: Duration = Duration::from_secs(1);

/// Kind of work before a pause.
#[derive(Debug, Clone, Copy)]
pub enum After {
    /// Reads, which need the processor.
    Reading,
    /// A transaction with its reads, which also holds the writer.
    Writing,
}

/// Decides on pauses.
pub struct Rest {
    store: Store,
    metrics: Metrics,
    arrivals: Arrivals,
}

/// Messages that have arrived.
struct Arrivals {
    count: u64,
    busy_until: Instant,
}

impl Rest {
    /// Creates the state of a hub that is not busy.
    pub fn new(store: Store, metrics: Metrics) -> Self {
        let arrivals = Arrivals {
            count: metrics.uplinks.total(),
            busy_until: Instant::now(),
        };
        Self {
            store,
            metrics,
            arrivals,
        }
    }

    /// Returns the pause after work that took this time. There is none while no messages arrive, except after writes to
    /// a database that other hubs may use.
    pub fn pause(&mut self, after: After, took: Duration) -> Duration {
        let count = self.metrics.uplinks.total();
        let is_busy = self.arrivals.are_recent(count, Instant::now());
        let reading = match is_busy {
            true => self.store.pause_after_read(took),
            false => Duration::ZERO,
        };
        match after {
            After::Writing if is_busy || self.store.is_shared() => {
                reading.max(self.store.pause_after(took))
            }
            After::Reading | After::Writing => reading,
        }
    }
}

impl Arrivals {
    /// Returns true if messages have arrived since the last look, or shortly before it.
    fn are_recent(&mut self, count: u64, now: Instant) -> bool {
        if count != self.count {
            self.count = count;
            self.busy_until = now + BUSY_FOR;
        }
        now < self.busy_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_busy_until_a_second_after_a_message() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut arrivals = Arrivals {
            count: 7,
            busy_until: start,
        };
        assert!(!arrivals.are_recent(7, at(0)));
        assert!(arrivals.are_recent(8, at(10)));
        assert!(arrivals.are_recent(8, at(900)));
        assert!(arrivals.are_recent(9, at(1000)));
        assert!(arrivals.are_recent(9, at(1999)));
        assert!(!arrivals.are_recent(9, at(2000)));
    }
}
