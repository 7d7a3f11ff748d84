//! Rows that were deleted because they were old, and space that was given back.

use prometheus::{IntCounter, IntCounterVec};

use super::family::Family;

/// Metrics of the housekeeping.
pub struct Housekeeping {
    deleted: IntCounterVec,
    /// Completed runs of this hub.
    pub runs: IntCounter,
    /// Partitions that were dropped because all of their rows were old.
    pub dropped_partitions: IntCounter,
    /// Bytes of an SQLite file, or of dropped partitions, that were given back to the file system.
    pub freed_bytes: IntCounter,
}

impl Housekeeping {
    pub(super) fn new(family: &Family<'_>) -> Self {
        Self {
            deleted: family.counters(
                "thingshub_housekeeping_deleted_total",
                "Rows that this hub deleted because they were old, by kind.",
                &["kind"],
            ),
            runs: family.counter(
                "thingshub_housekeeping_runs_total",
                "Completed searches of this hub for old rows; of several hubs, one searches.",
            ),
            dropped_partitions: family.counter(
                "thingshub_housekeeping_dropped_partitions_total",
                "Partitions of PostgreSQL that this hub dropped because all of their rows were old.",
            ),
            freed_bytes: family.counter(
                "thingshub_housekeeping_freed_bytes_total",
                "Bytes of the SQLite file, or of dropped partitions, that were given back to the file system.",
            ),
        }
    }

    /// Counts deleted rows; 0 shows the kind before any are deleted.
    pub fn count_deleted(&self, kind: &'static str, rows: u64) {
        self.deleted.with_label_values(&[kind]).inc_by(rows);
    }
}
