//! Circuit breaker: stops sending to a target that is unavailable.

use std::time::Duration;

use tokio::time::Instant;

use super::targets::Answer;
use crate::outgoing::RETRY_AFTER_MAX;

/// Number of consecutive failures after which the target is considered unavailable.
const FAILURES_MAX: u32 = 32;
/// First interval before a probe; it doubles with each failed probe.
const WAIT_MIN: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Statuses that concern one message; all others concern the target.
const ABOUT_THE_MESSAGE: [u16; 5] = [400, 409, 413, 415, 422];

/// Circuit breaker of one target.
#[derive(Default)]
pub struct Breaker {
    failures: u32,
    wait: Duration,
    until: Option<Instant>,
    /// End of the pause that the receiver requested with `Retry-After`. A success of an attempt that was in
    /// progress at the time does not end the pause.
    paused_until: Option<Instant>,
}

/// Permission to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// All attempts.
    Open,
    /// A single attempt, to test whether the target is available again.
    Probe,
    /// No attempts before this time.
    Closed(Instant),
}

impl Breaker {
    /// Returns which attempts are allowed now.
    pub fn admits(&self, now: Instant) -> Admission {
        match self.until.max(self.paused_until) {
            Some(until) if now < until => Admission::Closed(until),
            _ if self.failures >= FAILURES_MAX => Admission::Probe,
            _ => Admission::Open,
        }
    }

    /// Updates the state after an attempt.
    pub fn learn(&mut self, answer: &Answer, now: Instant) {
        if let Some(rest) = requested_pause(answer) {
            self.paused_until = self.paused_until.max(Some(now + rest));
        }
        if is_available(answer) {
            *self = Self {
                paused_until: self.paused_until,
                ..Self::default()
            };
            return;
        }
        self.failures = self.failures.saturating_add(1);
        // Attempts that were in progress together count as one probe.
        if self.failures >= FAILURES_MAX && self.until.is_none_or(|until| until <= now) {
            self.wait = (self.wait * 2).clamp(WAIT_MIN, WAIT_MAX);
            let jitter = rand::random_range(0.5..=1.0);
            self.until = Some(now + self.wait.mul_f64(jitter));
        }
    }
}

/// Returns the pause that the receiver requested, if it concerns all messages.
fn requested_pause(answer: &Answer) -> Option<Duration> {
    let asked = answer.retry_after.filter(|_| answer.asks_for_pause)?;
    Some(asked.to_std().ok()?.min(RETRY_AFTER_MAX))
}

/// True if the target accepted the message, or rejected only this message.
fn is_available(answer: &Answer) -> bool {
    match (&answer.error, answer.status) {
        _ if answer.is_final => true,
        (None, _) => true,
        (Some(_), Some(status)) => ABOUT_THE_MESSAGE.contains(&status),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::delivery::targets::headers::PAUSING_STATUSES;

    fn answer(status: Option<u16>, retry_after: Option<i64>) -> Answer {
        Answer {
            status,
            error: Some("no".to_owned()).filter(|_| status.is_none_or(|status| status >= 300)),
            retry_after: retry_after.map(TimeDelta::seconds),
            asks_for_pause: status.is_some_and(|status| PAUSING_STATUSES.contains(&status)),
            ..Answer::default()
        }
    }

    #[test]
    fn a_target_that_is_away_is_probed_at_growing_intervals() {
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        for _ in 1..FAILURES_MAX {
            breaker.learn(&answer(Some(500), None), now);
            assert_eq!(breaker.admits(now), Admission::Open);
        }
        let mut longest = Duration::ZERO;
        for _ in 0..10 {
            breaker.learn(&answer(None, None), now);
            let Admission::Closed(until) = breaker.admits(now) else {
                panic!("it is open");
            };
            longest = longest.max(until - now);
            assert!(until - now <= WAIT_MAX);
            now = until;
            assert_eq!(breaker.admits(now), Admission::Probe);
        }
        assert!(longest >= WAIT_MAX / 2, "{longest:?}");
        breaker.learn(&answer(Some(204), None), now);
        assert_eq!(breaker.admits(now), Admission::Open);
    }

    #[test]
    fn one_message_s_fault_is_not_the_target_s() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..10 * FAILURES_MAX {
            breaker.learn(&answer(Some(400), None), now);
        }
        assert_eq!(breaker.admits(now), Admission::Open);
    }

    #[test]
    fn a_message_that_no_attempt_can_deliver_is_not_the_target_s_fault() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..10 * FAILURES_MAX {
            breaker.learn(&Answer::hopeless("the record is too large"), now);
        }
        assert_eq!(breaker.admits(now), Admission::Open);
    }

    #[test]
    fn a_receiver_gets_the_rest_that_it_asks_for() {
        let now = Instant::now();
        for (status, asked, rest) in [
            (429, 60, Some(60)),
            (503, 60, Some(60)),
            (429, 999_999, Some(3600)),
            (500, 60, None),
        ] {
            let mut breaker = Breaker::default();
            breaker.learn(&answer(Some(status), Some(asked)), now);
            let expected = rest.map_or(Admission::Open, |rest| {
                Admission::Closed(now + Duration::from_secs(rest))
            });
            assert_eq!(breaker.admits(now), expected, "{status}");
        }
    }

    #[test]
    fn what_was_under_way_does_not_end_a_rest() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.learn(&answer(Some(429), Some(600)), now);
        let rest = Admission::Closed(now + Duration::from_secs(600));
        for (status, asked) in [
            (200, None),
            (400, None),
            (429, Some(1)),
            (503, None),
            (500, None),
        ] {
            breaker.learn(&answer(Some(status), asked), now);
            assert_eq!(breaker.admits(now), rest, "{status}");
        }
        let then = now + Duration::from_secs(600);
        assert_eq!(breaker.admits(then), Admission::Open);
    }
}
