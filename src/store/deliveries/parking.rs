//! Deliveries that wait for an older one of their device.

use chrono::DateTime;

use crate::clock::Time;

/// Due time of a delivery that waits for an older one: far in the future, so that it does not become due by itself.
pub fn parked() -> Time {
    DateTime::from_timestamp(253_370_764_800, 0).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC)
}
