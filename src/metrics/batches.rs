//! Group commits: how many items share a transaction, and how long it takes.

use std::time::Duration;

use prometheus::HistogramVec;

use super::family::Family;

/// Up to the maximum size of a batch.
const ITEMS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// From a commit to a fast disk to a database that hardly answers.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Metrics of group commits.
pub struct Batches {
    items: HistogramVec,
    seconds: HistogramVec,
}

/// A writer that commits in groups.
#[derive(Debug, Clone, Copy)]
pub enum Writer {
    /// Writes messages of network servers.
    Uplinks,
    /// Writes the outcomes of attempts to deliver.
    Attempts,
}

impl Writer {
    const ALL: [Self; 2] = [Self::Uplinks, Self::Attempts];

    fn as_str(self) -> &'static str {
        match self {
            Self::Uplinks => "uplinks",
            Self::Attempts => "attempts",
        }
    }
}

impl Batches {
    pub(super) fn new(family: &Family<'_>) -> Self {
        let batches = Self {
            items: family.histograms(
                "thingshub_batch_items",
                "Items that were written in one transaction, by writer.",
                &["writer"],
                ITEMS,
            ),
            seconds: family.histograms(
                "thingshub_batch_seconds",
                "Time to write and commit one batch, by writer.",
                &["writer"],
                SECONDS,
            ),
        };
        for writer in Writer::ALL {
            batches.items.with_label_values(&[writer.as_str()]);
            batches.seconds.with_label_values(&[writer.as_str()]);
        }
        batches
    }

    /// Records a batch.
    pub fn note(&self, writer: Writer, items: usize, took: Duration) {
        let labels = [writer.as_str()];
        // A batch has a few hundred items.
        #[expect(clippy::cast_precision_loss, reason = "the number is small")]
        let items = items as f64;
        self.items.with_label_values(&labels).observe(items);
        self.seconds
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }
}
