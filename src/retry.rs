//! The schedule of retries.

use chrono::TimeDelta;

use crate::{clock::Time, outgoing::RETRY_AFTER_MAX};

/// Returns the time of the next attempt after `attempt` attempts; `None` if there is none. Waits a random
/// half to all of the scheduled time, so that attempts that failed together are not retried together.
pub fn retry_at(
    waits_s: &[u64],
    attempt: i32,
    retry_after: Option<TimeDelta>,
    now: Time,
) -> Option<Time> {
    let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
    let wait_ms = i64::try_from(waits_s.get(index)?.saturating_mul(1000)).unwrap_or(i64::MAX / 2);
    let jittered = TimeDelta::milliseconds(rand::random_range(wait_ms / 2..=wait_ms));
    let asked = retry_after.unwrap_or_default().to_std().unwrap_or_default();
    let asked = TimeDelta::from_std(asked.min(RETRY_AFTER_MAX)).unwrap_or_default();
    now.checked_add_signed(jittered.max(asked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn waits_follow_the_schedule_with_jitter_and_end() {
        let now = clock::now();
        for _ in 0..100 {
            let wait = retry_at(&[10, 100], 2, None, now).unwrap() - now;
            assert!((50..=100).contains(&wait.num_seconds()), "{wait}");
        }
        assert_eq!(retry_at(&[10, 100], 3, None, now), None);
        assert_eq!(retry_at(&[], 1, None, now), None);
    }

    #[test]
    fn retry_after_is_honoured_within_bounds() {
        let now = clock::now();
        let wait = |asked| (retry_at(&[1], 1, Some(asked), now).unwrap() - now).num_seconds();
        assert_eq!(wait(TimeDelta::seconds(90)), 90);
        assert_eq!(wait(TimeDelta::days(9)), 3600);
    }

    #[test]
    fn a_wait_beyond_all_time_is_the_end() {
        assert_eq!(retry_at(&[u64::MAX], 1, None, clock::now()), None);
    }
}
