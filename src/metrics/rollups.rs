//! Rollups of data tables, and the aggregations that are answered from them.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::family::Family;

/// Metrics of rollups.
pub struct Rollups {
    aggregations: IntCounterVec,
    /// Rolled up hours of devices and columns.
    pub hours: IntCounter,
    /// Hours of devices that were rolled up again.
    pub repeated_hours: IntCounter,
    /// Completed searches.
    pub passes: IntCounter,
    /// Age of the end of the hours that are rolled up, of the table that is furthest behind.
    pub lag_seconds: IntGauge,
}

impl Rollups {
    pub(super) fn new(family: &Family<'_>) -> Self {
        let rollups = Self {
            aggregations: family.counters(
                "thingshub_aggregations_total",
                "Aggregations that were answered, by what they read: rollups (and the rows beside them) or rows only.",
                &["source"],
            ),
            hours: family.counter(
                "thingshub_rollup_buckets_total",
                "Hours that this hub has rolled up, counted for each device and column.",
            ),
            repeated_hours: family.counter(
                "thingshub_rollup_repeated_buckets_total",
                "Hours of devices that this hub has rolled up again because their rows had changed.",
            ),
            passes: family.counter(
                "thingshub_rollup_passes_total",
                "Completed searches of this hub for hours to roll up; of several hubs, one searches.",
            ),
            lag_seconds: family.gauge(
                "thingshub_rollup_lag_seconds",
                "Age of the end of the hours that are rolled up, of the data table that is furthest behind.",
            ),
        };
        for source in ["rollups", "rows"] {
            rollups.aggregations.with_label_values(&[source]);
        }
        rollups
    }

    /// Counts an aggregation.
    pub fn count_aggregation(&self, was_rolled: bool) {
        let source = if was_rolled { "rollups" } else { "rows" };
        self.aggregations.with_label_values(&[source]).inc();
    }
}
