//! Runs of scheduled exports.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::family::Family;
use crate::clock;

/// Metrics of scheduled exports.
pub struct Exports {
    attempts: IntCounterVec,
    rows: IntCounter,
    bytes: IntCounter,
    last_success: IntGauge,
}

/// Outcome of an attempt to send the file of a run.
#[derive(Debug, Clone, Copy)]
pub enum ExportOutcome {
    /// The file has arrived.
    Succeeded,
    /// There were no rows.
    Empty,
    /// The attempt failed, and another one follows.
    Retry,
    /// The last attempt failed.
    Failed,
}

impl ExportOutcome {
    const ALL: [Self; 4] = [Self::Succeeded, Self::Empty, Self::Retry, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Empty => "empty",
            Self::Retry => "retry",
            Self::Failed => "failed",
        }
    }
}

impl Exports {
    pub(super) fn new(family: &Family<'_>) -> Self {
        let exports = Self {
            attempts: family.counters(
                "thingshub_export_attempts_total",
                "Attempts of this hub to send the file of a scheduled export, by outcome: succeeded, empty (no rows), retry (failed, and repeated later) or failed (the last attempt of a run).",
                &["outcome"],
            ),
            rows: family.counter(
                "thingshub_export_rows_total",
                "Rows in the files that this hub has sent for scheduled exports.",
            ),
            bytes: family.counter(
                "thingshub_export_bytes_total",
                "Bytes of the files that this hub has sent for scheduled exports.",
            ),
            last_success: family.gauge(
                "thingshub_export_last_success_timestamp_seconds",
                "Time at which this hub last completed a run of a scheduled export, in seconds since 1970; 0 for never.",
            ),
        };
        for outcome in ExportOutcome::ALL {
            exports.attempts.with_label_values(&[outcome.as_str()]);
        }
        exports
    }

    /// Counts an attempt.
    pub fn count(&self, outcome: ExportOutcome) {
        self.attempts.with_label_values(&[outcome.as_str()]).inc();
        if matches!(outcome, ExportOutcome::Succeeded | ExportOutcome::Empty) {
            self.last_success.set(clock::now().timestamp());
        }
    }

    /// Counts an attempt that has sent a file.
    pub fn count_sent(&self, rows: i64, bytes: i64) {
        self.rows.inc_by(rows.unsigned_abs());
        self.bytes.inc_by(bytes.unsigned_abs());
        self.count(ExportOutcome::Succeeded);
    }
}
