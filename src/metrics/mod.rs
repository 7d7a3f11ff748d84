//! Metrics for operators, in Prometheus's text format.
//!
//! The parts of the hub report to the groups below while they work: each report is an atomic addition. Values that
//! can be read at any time, such as the lengths of queues, are read when the metrics are requested
//! (`hub/monitor.rs`) and set in [`Readings`].
//!
//! Invariant: a label has few values that are known in advance, such as an outcome or the type of a network server.
//! Ids and names of devices, tenants or users are never labels: they are private, and their number has no bound.

mod batches;
mod deliveries;
mod downlinks;
mod drivers;
mod exports;
mod family;
mod housekeeping;
mod http;
mod imports;
mod process;
mod readings;
mod rollups;
mod uplinks;

use std::sync::Arc;

use prometheus::{IntCounterVec, Registry, TextEncoder};

use family::Family;

pub use batches::{Batches, Writer};
pub use deliveries::{Deliveries, Held, Lease};
pub use downlinks::{DownlinkOutcome, Downlinks};
pub use drivers::Drivers;
pub use exports::{ExportOutcome, Exports};
pub use housekeeping::Housekeeping;
pub use http::{Http, Open};
pub use imports::{Imports, Rows};
pub use process::Process;
pub use readings::{Problem, Readings, Stream, whole};
pub use rollups::Rollups;
pub use uplinks::{DecodeOutcome, MessageOutcome, Uplinks};

/// Media type of the text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a hub. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Groups>);

/// The groups of metrics, by the part of the hub that reports them.
pub struct Groups {
    registry: Registry,
    /// Messages of network servers.
    pub uplinks: Uplinks,
    /// Group commits.
    pub batches: Batches,
    /// Attempts to deliver.
    pub deliveries: Deliveries,
    /// Outcomes of downlinks.
    pub downlinks: Downlinks,
    /// Calls of drivers.
    pub drivers: Arc<Drivers>,
    /// Runs of scheduled exports.
    pub exports: Exports,
    /// Rows that were deleted because they were old.
    pub housekeeping: Housekeeping,
    /// Connections and requests.
    pub http: Http,
    /// Imports of devices.
    pub imports: Imports,
    logins: IntCounterVec,
    /// Values that are read when the metrics are requested.
    pub readings: Readings,
    /// Rollups of data tables.
    pub rollups: Rollups,
    process: Process,
}

/// Outcome of a login.
#[derive(Debug, Clone, Copy)]
pub enum Login {
    /// A session was opened.
    Success,
    /// The username or the password is wrong, or the user is locked.
    Wrong,
    /// Refused without a check of the password: too many wrong ones, or too many logins at a time.
    Throttled,
    /// The hub could not check the password.
    Failed,
}

impl Login {
    const ALL: [Self; 4] = [Self::Success, Self::Wrong, Self::Throttled, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Wrong => "wrong",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
        }
    }
}

impl Metrics {
    /// Creates the metrics, all at zero. `networks` and `targets` are the types of network servers and of targets.
    pub fn new(networks: &[&'static str], targets: &[&'static str]) -> Self {
        let registry = Registry::new();
        let family = Family::of(&registry);
        let logins = family.counters(
            "thingshub_logins_total",
            "Logins with username and password, by outcome.",
            &["outcome"],
        );
        for outcome in Login::ALL {
            logins.with_label_values(&[outcome.as_str()]);
        }
        Self(Arc::new(Groups {
            uplinks: Uplinks::new(&family, networks),
            batches: Batches::new(&family),
            deliveries: Deliveries::new(&family, targets),
            downlinks: Downlinks::new(&family),
            drivers: Arc::new(Drivers::new(&family)),
            exports: Exports::new(&family),
            housekeeping: Housekeeping::new(&family),
            http: Http::new(&family),
            imports: Imports::new(&family),
            logins,
            readings: Readings::new(&family),
            rollups: Rollups::new(&family),
            process: Process::new(&family),
            registry,
        }))
    }

    /// Counts a login.
    pub fn count_login(&self, outcome: Login) {
        self.logins.with_label_values(&[outcome.as_str()]).inc();
    }

    /// Returns the text of all metrics, with the current values of the process.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        self.process.read();
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl std::ops::Deref for Metrics {
    type Target = Groups;

    fn deref(&self) -> &Groups {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_can_be_made_and_is_written_with_its_help() {
        let metrics = Metrics::new(&["http"], &["mqtt"]);
        metrics.count_login(Login::Wrong);
        let text = metrics.text().unwrap();
        assert!(text.contains("thingshub_logins_total{outcome=\"wrong\"} 1\n"));
        assert!(text.contains("thingshub_logins_total{outcome=\"success\"} 0\n"));
        for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
            let name = line.split(' ').nth(2).unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{line}");
        }
    }
}
