//! Rate limit of attempts.

use std::time::Duration;

use tokio::time::Instant;

/// Maximum burst after a period without attempts.
const BURST: Duration = Duration::from_millis(100);

/// Rate limiter.
#[derive(Default)]
pub struct Pace {
    next: Option<Instant>,
}

impl Pace {
    /// Reserves the next attempt; the error is the time at which to try again.
    pub fn take(&mut self, rate_per_s: Option<u32>, now: Instant) -> Result<(), Instant> {
        let Some(rate) = rate_per_s.filter(|rate| *rate > 0) else {
            return Ok(());
        };
        let next = self.next.unwrap_or(now);
        if now < next {
            return Err(next);
        }
        let behind = now.checked_sub(BURST).unwrap_or(now);
        self.next = Some(next.max(behind) + Duration::from_secs(1) / rate);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_no_more_than_the_rate_but_for_a_short_burst() {
        let start = Instant::now();
        for rate in [1, 7, 100, 10_000] {
            let mut pace = Pace::default();
            let taken = (0..20_000)
                .map(|step| start + Duration::from_micros(50) * step)
                .filter(|now| pace.take(Some(rate), *now).is_ok())
                .count();
            let most = rate as usize + rate as usize / 10 + 1;
            assert!((rate as usize..=most).contains(&taken), "{rate}: {taken}");
        }
    }

    #[test]
    fn no_rate_is_no_bound() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for none in [None, Some(0)] {
            assert!((0..1000).all(|_| pace.take(none, now).is_ok()));
        }
    }
}
