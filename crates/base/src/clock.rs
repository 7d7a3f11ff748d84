//! The one place that reads the wall clock.
//!
//! Times are truncated to microseconds, the resolution of PostgreSQL, so that a value reads back from either
//! database exactly as it was written.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// A point in time, UTC, in whole microseconds.
pub type Time = DateTime<Utc>;

/// The earliest plausible time: an earlier one means that the clock was never set.
pub const EARLIEST: Time =
    DateTime::from_timestamp(946_684_800, 0).expect("2000-01-01T00:00:00Z is a time");

/// Returns the current time, in whole microseconds.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Time {
    cut(Utc::now())
}

/// Truncates a time to whole microseconds.
pub fn cut(time: Time) -> Time {
    time.trunc_subsecs(6)
}

/// The limit for the clocks of other systems: how far they may be ahead of the hub's.
#[derive(Debug, Clone, Copy)]
pub struct Plausible {
    /// Maximum difference.
    pub ahead_max: TimeDelta,
}

impl Plausible {
    /// Returns the reason why a time that was reported at `now` is implausible; `None` if it is plausible.
    pub fn doubt(&self, time: Time, now: Time) -> Option<String> {
        if time < EARLIEST {
            return Some("is before the year 2000".to_owned());
        }
        let latest = now.checked_add_signed(self.ahead_max)?;
        (time > latest).then(|| {
            let ahead_s = (time - now).num_seconds();
            format!("is {ahead_s} seconds ahead of the hub's clock")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_doubted_before_2000_and_far_ahead() {
        let plausible = Plausible {
            ahead_max: TimeDelta::seconds(300),
        };
        let now = now();
        let doubt = |time| plausible.doubt(time, now);
        for time in [EARLIEST, now, now + TimeDelta::seconds(300)] {
            assert_eq!(doubt(time), None, "{time}");
        }
        let before = EARLIEST - TimeDelta::microseconds(1);
        assert_eq!(doubt(before).as_deref(), Some("is before the year 2000"));
        let ahead = doubt(now + TimeDelta::seconds(301));
        assert_eq!(
            ahead.as_deref(),
            Some("is 301 seconds ahead of the hub's clock")
        );
    }
}
