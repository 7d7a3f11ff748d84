//! Downlinks that were sent, given up or expired.

use prometheus::IntCounterVec;

use super::family::Family;

/// Metrics of downlinks.
pub struct Downlinks(IntCounterVec);

/// Outcome of an attempt to send a downlink, or the end of a downlink without one.
#[derive(Debug, Clone, Copy)]
pub enum DownlinkOutcome {
    /// The network server accepted it.
    Sent,
    /// It went into the answer to a message of the network server.
    Answered,
    /// The attempt failed and is repeated later.
    Retry,
    /// It was given up.
    Failed,
    /// It waited too long.
    Expired,
}

impl DownlinkOutcome {
    const ALL: [Self; 5] = [
        Self::Sent,
        Self::Answered,
        Self::Retry,
        Self::Failed,
        Self::Expired,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Retry => "retry",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

impl Downlinks {
    pub(super) fn new(family: &Family<'_>) -> Self {
        let outcomes = family.counters(
            "thingshub_downlinks_total",
            "Downlinks by outcome: sent, answered (in the answer to a message), retry (failed, to be repeated), failed \
             (given up) or expired.",
            &["outcome"],
        );
        for outcome in DownlinkOutcome::ALL {
            outcomes.with_label_values(&[outcome.as_str()]);
        }
        Self(outcomes)
    }

    /// Counts downlinks with this outcome.
    pub fn count(&self, outcome: DownlinkOutcome, downlinks: u64) {
        self.0
            .with_label_values(&[outcome.as_str()])
            .inc_by(downlinks);
    }
}
