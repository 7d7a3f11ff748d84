//! Deliveries that wait for an older one of their device.

use chrono::DateTime;

use crate::clock::Time;

/// When a delivery is due that waits for an older one: never, by itself.
pub fn parked() -> Time {
    DateTime::from_timestamp(253_370_764_800, 0).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC)
}
