//! Throttling: limits the failed attempts of one caller in a period.
//!
//! An attempt is counted before its work begins, and no longer counts if it succeeds, so that simultaneous
//! attempts count like sequential ones.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use moka::sync::Cache;

use crate::error::{Error, Reason, Result};

/// Time for which failures are remembered, from the first of them.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Maximum number of callers that are remembered at a time, which bounds the memory.
const REMEMBERED_MAX: u64 = 100_000;
/// Seconds after which to retry an attempt that was rejected because of others in progress.
const SOON_S: u64 = 1;
/// Length of the prefix of IPv6 addresses that belongs to one subscriber.
const SUBSCRIBER_BITS: u32 = 64;

/// Counts failures per caller.
pub struct Throttle<K> {
    counts: Cache<K, Arc<Count>>,
    most: u32,
}

struct Count {
    since: Instant,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    failed: u32,
    under_way: u32,
}

/// An attempt, which counts as failed unless it is settled otherwise.
#[must_use]
pub struct Attempt {
    count: Arc<Count>,
    is_settled: bool,
}

impl<K: Hash + Eq + Send + Sync + 'static> Throttle<K> {
    /// Creates a throttle that allows `most` failures.
    pub fn new(most: u32) -> Self {
        Self {
            counts: Cache::builder()
                .max_capacity(REMEMBERED_MAX)
                .time_to_live(WINDOW)
                .build(),
            most,
        }
    }

    /// Begins an attempt. Fails if too many attempts have failed, or would have if those in progress did.
    /// `what` names the failures in the error, in the plural.
    pub fn begin(&self, who: K, what: &str) -> Result<Attempt> {
        let count = self.counts.get_with(who, || {
            Arc::new(Count {
                since: Instant::now(),
                tally: Mutex::default(),
            })
        });
        let mut tally = count.lock();
        if tally.failed >= self.most {
            let left = WINDOW.saturating_sub(count.since.elapsed());
            return Err(Error::Unavailable {
                reason: Reason::Throttled,
                what: format!("too many {what}; try again later"),
                retry_after_s: left.as_secs().max(SOON_S),
                source: None,
            });
        }
        if tally.failed + tally.under_way >= self.most {
            return Err(Error::Unavailable {
                reason: Reason::Throttled,
                what: format!(
                    "too many attempts at the same time, which could become too many {what}; try again"
                ),
                retry_after_s: SOON_S,
                source: None,
            });
        }
        tally.under_way += 1;
        drop(tally);
        Ok(Attempt {
            count,
            is_settled: false,
        })
    }
}

impl Count {
    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(|error| error.into_inner())
    }
}

impl Attempt {
    /// Ends the attempt as a success and forgets earlier failures.
    pub fn succeed(mut self) {
        self.settle(|tally| tally.failed = 0);
    }

    /// Ends the attempt without counting it: it reached no result.
    pub fn withdraw(mut self) {
        self.settle(|_| ());
    }

    fn settle(&mut self, change: impl FnOnce(&mut Tally)) {
        let mut tally = self.count.lock();
        tally.under_way -= 1;
        change(&mut tally);
        drop(tally);
        self.is_settled = true;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_settled {
            self.settle(|tally| tally.failed += 1);
        }
    }
}

/// Returns the address that identifies the subscriber: one subscriber has a whole /64 of IPv6 addresses.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let mask = u128::MAX << (u128::BITS - SUBSCRIBER_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(throttle: &Throttle<&'static str>) -> Result<Attempt> {
        throttle.begin("eve", "failed log-ins")
    }

    #[test]
    fn attempts_under_way_count() {
        let throttle = Throttle::new(3);
        let mut under_way: Vec<Attempt> = (0..3).map(|_| begin(&throttle).unwrap()).collect();
        assert!(matches!(
            begin(&throttle),
            Err(Error::Unavailable {
                retry_after_s: SOON_S,
                ..
            })
        ));
        assert!(throttle.begin("adam", "failed log-ins").is_ok());
        // One that could not be compared gives its place back.
        under_way.pop().unwrap().withdraw();
        under_way.push(begin(&throttle).unwrap());
        // Nobody waited for the outcome: it counts as failed.
        drop(under_way);
        let Err(Error::Unavailable { retry_after_s, .. }) = begin(&throttle) else {
            panic!("three have failed");
        };
        assert!(retry_after_s > WINDOW.as_secs() / 2, "{retry_after_s}");
    }

    #[test]
    fn a_success_forgets_failures() {
        let throttle = Throttle::new(2);
        drop(begin(&throttle).unwrap());
        begin(&throttle).unwrap().succeed();
        for _ in 0..2 {
            drop(begin(&throttle).unwrap());
        }
        assert!(begin(&throttle).is_err());
    }

    #[test]
    fn a_subscriber_is_an_address_or_a_network_of_them() {
        let same = |one: &str, other: &str| {
            subscriber(one.parse().unwrap()) == subscriber(other.parse().unwrap())
        };
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn failures_and_attempts_under_way_count_together() {
        let throttle = Throttle::new(3);
        drop(begin(&throttle).unwrap());
        let _first = begin(&throttle).unwrap();
        let second = begin(&throttle).unwrap();
        let Err(Error::Unavailable { retry_after_s, .. }) = begin(&throttle) else {
            panic!("one has failed and two are under way");
        };
        assert_eq!(retry_after_s, SOON_S);
        drop(second);
        let third = begin(&throttle);
        assert!(third.is_err(), "two have failed and one is under way");
    }
}
