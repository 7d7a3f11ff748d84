//! Values that are read when the metrics are requested.

use std::{sync::Arc, time::Instant};

use prometheus::{Gauge, IntCounter, IntGauge, IntGaugeVec};

use tokio::sync::{Mutex, Semaphore};

use super::{family::Family, http::Open};

/// Values of queues, pools and conditions.
pub struct Readings {
    build: IntGaugeVec,
    started: Instant,
    uptime: IntGauge,
    /// Time of the last count of the deliveries. Locked during a reading, so that nothing is counted twice.
    pub counted_at: Mutex<Option<Instant>>,
    problems: IntGaugeVec,
    limits: IntGaugeVec,
    /// Driver calls that wait for a worker.
    pub driver_queue: IntGauge,
    /// Worker processes that run.
    pub driver_workers: IntGauge,
    /// Worker processes that have calls.
    pub driver_workers_busy: IntGauge,
    /// Deliveries that this hub is sending.
    pub deliveries_running: IntGauge,
    /// Deliveries that wait, up to a bound; not a number if the database does not say.
    pub deliveries_waiting: Gauge,
    /// Age of the oldest delivery that is due; not a number if the database does not say.
    pub oldest_due_seconds: Gauge,
    connections: IntGaugeVec,
    connections_used: IntGaugeVec,
    connection_waits: IntGaugeVec,
    /// Outages of the database.
    pub outages: IntCounter,
    streams: IntGaugeVec,
    /// Permit to ask for the space on the disk: a file system that does not answer holds one thread, not one of each
    /// reading.
    pub disk_question: Arc<Semaphore>,
    disk_size: Gauge,
    disk_free: Gauge,
    certificate_end: Gauge,
    certificate_stuck: IntGauge,
}

/// A condition that keeps the hub from a part of its work.
#[derive(Debug, Clone, Copy)]
pub enum Problem {
    /// The database takes no writes.
    Database,
    /// No driver worker can be started.
    DriverWorkers,
    /// The certificate has expired, or the one that should replace it cannot be used.
    Certificate,
}

/// A stream that stays open.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    /// The live stream of events.
    Events,
    /// A follower of an integration.
    Integration,
}

impl Readings {
    pub(super) fn new(family: &Family<'_>) -> Self {
        let pool = &["pool"];
        Self {
            build: family.gauges(
                "thingshub_build_info",
                "Always 1; the labels have the version of the hub and the type of its database.",
                &["version", "database"],
            ),
            started: Instant::now(),
            counted_at: Mutex::default(),
            uptime: family.gauge("thingshub_uptime_seconds", "Time since the hub started."),
            problems: family.gauges(
                "thingshub_problem",
                "1 while the problem lasts: database (it takes no writes), driver_workers (none can be started) or \
                 certificate (it has expired, or its successor cannot be used).",
                &["problem"],
            ),
            limits: family.gauges(
                "thingshub_limit",
                "Value of a setting that limits something, by setting.",
                &["setting"],
            ),
            driver_queue: family.gauge(
                "thingshub_driver_queue_length",
                "Driver calls that wait for a worker.",
            ),
            driver_workers: family.gauge(
                "thingshub_driver_workers",
                "Worker processes that run drivers.",
            ),
            driver_workers_busy: family.gauge(
                "thingshub_driver_workers_busy",
                "Worker processes that have driver calls.",
            ),
            deliveries_running: family.gauge(
                "thingshub_deliveries_running",
                "Deliveries that this hub is sending.",
            ),
            deliveries_waiting: family.float_gauge(
                "thingshub_deliveries_waiting",
                "Deliveries in the database that are not settled, counted up to 10000; NaN if unknown.",
            ),
            oldest_due_seconds: family.float_gauge(
                "thingshub_deliveries_oldest_due_seconds",
                "Time since the oldest due delivery of an enabled integration became due; NaN if unknown.",
            ),
            connections: family.gauges(
                "thingshub_database_connections",
                "Open connections to the database, by pool.",
                pool,
            ),
            connections_used: family.gauges(
                "thingshub_database_connections_used",
                "Connections to the database that are in use, by pool.",
                pool,
            ),
            connection_waits: family.gauges(
                "thingshub_database_waiting",
                "Statements and transactions that wait for a connection, by pool.",
                pool,
            ),
            outages: family.counter(
                "thingshub_database_outages_total",
                "Outages of the database: it could not be reached or took no writes.",
            ),
            streams: streams(family),
            disk_question: Arc::new(Semaphore::new(1)),
            disk_size: family.float_gauge(
                "thingshub_data_dir_size_bytes",
                "Size of the file system with the data directory in bytes; NaN if unknown.",
            ),
            disk_free: family.float_gauge(
                "thingshub_data_dir_free_bytes",
                "Space for the hub's files on the file system with the data directory in bytes; NaN if unknown.",
            ),
            certificate_end: family.float_gauge(
                "thingshub_tls_certificate_expiry_timestamp_seconds",
                "Expiry of the certificate of new connections since unix epoch in seconds; NaN if unknown.",
            ),
            certificate_stuck: family.gauge(
                "thingshub_tls_reload_failed",
                "1 while the files of the certificate cannot be used, and the previous certificate stays in force.",
            ),
        }
    }

    /// Sets the version and the type of the database.
    pub fn set_build(&self, version: &str, database: &'static str) {
        self.build.with_label_values(&[version, database]).set(1);
    }

    /// Sets the time since the hub started.
    pub fn read_uptime(&self) {
        let seconds = self.started.elapsed().as_secs();
        self.uptime.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Sets whether a problem lasts.
    pub fn set_problem(&self, problem: Problem, lasts: bool) {
        self.problems
            .with_label_values(&[problem.as_str()])
            .set(lasts.into());
    }

    /// Sets the expiry of the certificate, in seconds, and whether its successor cannot be used.
    pub fn set_certificate(&self, end: Option<i64>, is_stuck: bool) {
        #[expect(clippy::cast_precision_loss, reason = "exact for millions of years")]
        self.certificate_end
            .set(end.map_or(f64::NAN, |end| end as f64));
        self.certificate_stuck.set(is_stuck.into());
    }

    /// Sets the size of the file system with the data directory and the free space on it, in bytes.
    pub fn set_disk(&self, sizes: Option<(u64, u64)>) {
        #[expect(clippy::cast_precision_loss, reason = "exact for 9 petabytes")]
        let (size, free) = sizes.map_or((f64::NAN, f64::NAN), |(size, free)| {
            (size as f64, free as f64)
        });
        self.disk_size.set(size);
        self.disk_free.set(free);
    }

    /// Sets the value of a setting.
    pub fn set_limit(&self, setting: &'static str, value: usize) {
        self.limits.with_label_values(&[setting]).set(whole(value));
    }

    /// Sets the state of a pool of connections.
    pub fn set_pool(&self, pool: &'static str, open: usize, used: usize, waiting: usize) {
        let set = |gauges: &IntGaugeVec, value| gauges.with_label_values(&[pool]).set(whole(value));
        set(&self.connections, open);
        set(&self.connections_used, used);
        set(&self.connection_waits, waiting);
    }

    /// Counts a stream as open until the returned value is dropped.
    pub fn open_stream(&self, stream: Stream) -> Open {
        Open::new(&self.streams.with_label_values(&[stream.as_str()]))
    }
}

impl Problem {
    fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::DriverWorkers => "driver_workers",
            Self::Certificate => "certificate",
        }
    }
}

impl Stream {
    fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Integration => "integration",
        }
    }
}

/// Converts a count to the type of gauges.
pub fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns the number of open streams, with a line for each kind from the start.
fn streams(family: &Family<'_>) -> IntGaugeVec {
    let streams = family.gauges(
        "thingshub_live_streams",
        "Open live streams, by kind: events or integration (followers of integrations).",
        &["kind"],
    );
    for stream in [Stream::Events, Stream::Integration] {
        streams.with_label_values(&[stream.as_str()]);
    }
    streams
}
