//! Imports of devices, and their rows.

use prometheus::IntCounterVec;

use super::family::Family;

const DONE: &str = "done";
const FAILED: &str = "failed";

/// Metrics of imports.
pub struct Imports {
    imports: IntCounterVec,
    rows: IntCounterVec,
}

/// Outcomes of rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rows {
    /// Devices that were created.
    pub created: u64,
    /// Devices that were changed.
    pub updated: u64,
    /// Devices that existed and were left as they were.
    pub skipped: u64,
    /// Rows with errors.
    pub failed: u64,
}

impl Imports {
    pub(super) fn new(family: &Family<'_>) -> Self {
        let imports = Self {
            imports: family.counters(
                "thingshub_imports_total",
                "Imports that this hub completed, by outcome: done (rows may have failed) or failed (given up).",
                &["outcome"],
            ),
            rows: family.counters(
                "thingshub_import_rows_total",
                "Rows of imports that this hub worked on, by outcome: created, updated, skipped or failed.",
                &["outcome"],
            ),
        };
        for outcome in [DONE, FAILED] {
            imports.imports.with_label_values(&[outcome]);
        }
        imports.count_rows(Rows::default());
        imports
    }

    /// Counts an import that is done.
    pub fn count_done(&self) {
        self.imports.with_label_values(&[DONE]).inc();
    }

    /// Counts an import that was given up.
    pub fn count_failed(&self) {
        self.imports.with_label_values(&[FAILED]).inc();
    }

    /// Counts rows.
    pub fn count_rows(&self, rows: Rows) {
        for (outcome, rows) in [
            ("created", rows.created),
            ("updated", rows.updated),
            ("skipped", rows.skipped),
            (FAILED, rows.failed),
        ] {
            self.rows.with_label_values(&[outcome]).inc_by(rows);
        }
    }
}
