//! The one place that reads the wall clock.
//!
//! Times are cut to microseconds, the finest step that PostgreSQL keeps, so that a value reads back
//! from either database exactly as it was written.

use chrono::{DateTime, SubsecRound, Utc};

/// A point in time, UTC, in whole microseconds.
pub type Time = DateTime<Utc>;

/// Now, in whole microseconds.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Time {
    cut(Utc::now())
}

/// The same time without its nanoseconds.
pub fn cut(time: Time) -> Time {
    time.trunc_subsecs(6)
}
