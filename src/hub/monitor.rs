//! The metrics of the hub: reads the values that no part reports by itself, and returns the text of all metrics.

use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use tokio::{task::spawn_blocking, time::timeout};

use crate::{
    error::{Error, Result},
    hub::Hub,
    metrics::{Metrics, Problem, whole},
};

/// Minimum time between two counts of the deliveries, because they cost statements.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// Maximum time for these statements; metrics matter most while the database has problems.
const COUNT_WITHIN: Duration = Duration::from_secs(2);

impl Hub {
    /// Returns the text of all metrics.
    pub async fn metrics_text(&self) -> Result<String> {
        let mut counted_at = self.metrics.readings.counted_at.lock().await;
        self.read_pools();
        self.read_disk().await;
        if counted_at.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            self.count_deliveries().await;
            *counted_at = Some(Instant::now());
        }
        drop(counted_at);
        self.metrics.text().map_err(Error::internal)
    }

    /// Describes what keeps the hub from a part of its work while it serves requests. Anybody may read it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.drivers.is_available() {
            let text =
                "no driver worker can be started: uplinks are recorded without being decoded";
            problems.push(text.to_owned());
        }
        problems.extend(self.certificate.problems());
        problems
    }

    /// Sets the metrics that do not change while the hub runs.
    pub(in crate::hub) fn describe(&self) {
        let readings = &self.metrics.readings;
        let database = match self.store.is_shared() {
            true => "postgresql",
            false => "sqlite",
        };
        readings.set_build(env!("CARGO_PKG_VERSION"), database);
        let config = &self.config;
        for (setting, value) in [
            ("connections_max", config.connections_max),
            ("uplink_queue_max", config.uplink_queue_max),
            ("driver_queue_max", config.driver_queue_max),
            ("driver_workers", config.driver_workers),
            ("live_streams_max", config.live_streams_max),
        ] {
            readings.set_limit(setting, value);
        }
    }

    fn read_pools(&self) {
        let readings = &self.metrics.readings;
        readings.read_uptime();
        readings.set_problem(Problem::Database, !self.store.takes_writes());
        readings.set_problem(Problem::DriverWorkers, !self.drivers.is_available());
        let certificate = &self.certificate;
        readings.set_problem(Problem::Certificate, !certificate.problems().is_empty());
        readings.set_certificate(
            certificate.end().map(|end| end.timestamp()),
            certificate.is_stuck(),
        );
        let pool = self.drivers.state();
        readings.driver_queue.set(whole(pool.waiting));
        readings.driver_workers.set(whole(pool.workers));
        readings.driver_workers_busy.set(whole(pool.busy));
        let running = self.wake.under_way_count();
        readings.deliveries_running.set(whole(running));
        for pool in self.store.pools() {
            readings.set_pool(pool.name, pool.open, pool.used, pool.waiting);
        }
        // Readings take turns, so that no outage is counted twice.
        let known = readings.outages.get();
        readings
            .outages
            .inc_by(self.store.outages().saturating_sub(known));
    }

    async fn read_disk(&self) {
        let readings = &self.metrics.readings;
        let folder = self.config.data_dir.clone();
        let asked = async {
            let permit = readings.disk_question.clone().acquire_owned().await.ok()?;
            let asked = spawn_blocking(move || {
                let found = statvfs(&folder);
                drop(permit);
                found
            });
            asked.await.ok()?.ok()
        };
        // A network file system may not answer.
        let found = timeout(COUNT_WITHIN, asked).await.ok().flatten();
        let sizes = found.map(|disk| {
            let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
            (bytes(disk.blocks()), bytes(disk.blocks_available()))
        });
        readings.set_disk(sizes);
    }

    async fn count_deliveries(&self) {
        let counts = async {
            let waiting = self.store.waiting_deliveries().await?;
            let oldest = self.store.oldest_due_delivery().await?;
            Ok::<_, Error>((waiting, oldest))
        };
        let (waiting, oldest) = match timeout(COUNT_WITHIN, counts).await {
            #[expect(clippy::cast_precision_loss, reason = "at most COUNTED_MAX")]
            Ok(Ok((waiting, oldest))) => (waiting as f64, oldest.as_seconds_f64()),
            // A stale value would hide that the deliveries wait for the database.
            _ => (f64::NAN, f64::NAN),
        };
        self.metrics.readings.deliveries_waiting.set(waiting);
        self.metrics.readings.oldest_due_seconds.set(oldest);
    }
}

/// Returns the metrics of a hub with its types of network servers and targets.
pub fn metrics() -> Metrics {
    Metrics::new(crate::networks::kinds(), crate::delivery::TARGET_TYPES)
}
