//! Messages that arrive, for background work that gives way to them: whether there are any, and how much of the time it
//! takes to write them.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Time after a message for which the hub counts as busy, and shortest period of which a share is taken.
const BUSY_FOR: Duration = Duration::from_secs(1);

/// Messages of network servers that were written lately.
pub struct Arrivals {
    begun: Instant,
    /// Milliseconds from `begun` until the hub is not busy any more.
    busy_until_ms: AtomicU64,
    written: Mutex<Written>,
}

/// Time in which messages were written.
struct Written {
    /// Start of the current period.
    since: Instant,
    /// Time in it that was taken so far.
    taken: Duration,
    /// Share of the period before it.
    share: f64,
}

/// Batch of messages that is being written until it is dropped.
pub struct Batch<'a> {
    arrivals: &'a Arrivals,
    began: Instant,
}

impl Default for Arrivals {
    fn default() -> Self {
        let begun = Instant::now();
        Self {
            begun,
            busy_until_ms: AtomicU64::new(0),
            written: Mutex::new(Written {
                since: begun,
                taken: Duration::ZERO,
                share: 0.0,
            }),
        }
    }
}

impl Arrivals {
    /// Notes that a batch of messages has arrived, which is written until the answer is dropped.
    pub fn batch(&self) -> Batch<'_> {
        let began = Instant::now();
        self.note(began);
        Batch {
            arrivals: self,
            began,
        }
    }

    /// True if messages have arrived shortly before this time.
    pub fn are_recent(&self, now: Instant) -> bool {
        self.since_begun_ms(now) < self.busy_until_ms.load(Ordering::Relaxed)
    }

    /// Returns the share of the time before `now` in which messages were written, from 0 to 1.
    pub fn share(&self, now: Instant) -> f64 {
        match self.are_recent(now) {
            true => self.written(|written| written.share),
            false => 0.0,
        }
    }

    fn note(&self, now: Instant) {
        let until_ms = self.since_begun_ms(now + BUSY_FOR);
        self.busy_until_ms.store(until_ms, Ordering::Relaxed);
    }

    fn note_batch(&self, began: Instant, ended: Instant) {
        self.note(ended);
        self.written(|written| {
            written.taken += ended.saturating_duration_since(began);
            let period = ended.saturating_duration_since(written.since);
            if period >= BUSY_FOR {
                let share = written.taken.as_secs_f64() / period.as_secs_f64();
                *written = Written {
                    since: ended,
                    taken: Duration::ZERO,
                    share: share.min(1.0),
                };
            }
        });
    }

    fn written<T>(&self, work: impl FnOnce(&mut Written) -> T) -> T {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut written)
    }

    fn since_begun_ms(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.begun);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.arrivals.note_batch(self.began, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(arrivals: &Arrivals, ms: u64) -> Instant {
        arrivals.begun + Duration::from_millis(ms)
    }

    #[test]
    fn a_hub_is_busy_until_a_second_after_a_message() {
        let arrivals = Arrivals::default();
        assert!(!arrivals.are_recent(at(&arrivals, 0)));
        arrivals.note(at(&arrivals, 10));
        assert!(arrivals.are_recent(at(&arrivals, 10)));
        assert!(arrivals.are_recent(at(&arrivals, 900)));
        arrivals.note(at(&arrivals, 1000));
        assert!(arrivals.are_recent(at(&arrivals, 1999)));
        assert!(!arrivals.are_recent(at(&arrivals, 2000)));
    }

    #[test]
    fn the_share_is_that_of_the_last_whole_period() {
        let arrivals = Arrivals::default();
        let at = |ms| at(&arrivals, ms);
        let shares = |batches: &[(u64, u64)]| {
            for (began, ended) in batches {
                arrivals.note_batch(at(*began), at(*ended));
            }
            let last = batches.last().unwrap().1;
            arrivals.share(at(last))
        };
        assert_eq!(shares(&[(100, 200), (300, 700)]), 0.0);
        assert_eq!(shares(&[(900, 1000)]), 0.6);
        // A period that is not over does not count yet, and one without messages ends with the next batch.
        assert_eq!(shares(&[(1000, 1900)]), 0.6);
        assert_eq!(shares(&[(4900, 5000)]), 0.25);
        assert_eq!(arrivals.share(at(5999)), 0.25);
        assert_eq!(arrivals.share(at(6000)), 0.0);
        // Batches beside each other are not more than the whole time.
        assert_eq!(shares(&[(5000, 6000), (5000, 6000)]), 1.0);
    }

    #[test]
    fn a_batch_is_noted_when_it_begins_and_when_it_ends() {
        let arrivals = Arrivals::default();
        let batch = arrivals.batch();
        assert!(arrivals.are_recent(Instant::now()));
        arrivals.busy_until_ms.store(0, Ordering::Relaxed);
        drop(batch);
        assert!(arrivals.are_recent(Instant::now()));
    }
}
