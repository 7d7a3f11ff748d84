//! Connections and requests.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGauge};

use super::family::Family;

/// From a request that is answered from memory to one that reaches the time limit.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused";

/// Metrics of connections and requests.
pub struct Http {
    requests: IntCounterVec,
    seconds: HistogramVec,
    running: IntGauge,
    connections: IntGauge,
    opened: IntCounterVec,
}

/// Something that counts as open until dropped.
pub struct Open(IntGauge);

impl Http {
    pub(super) fn new(family: &Family<'_>) -> Self {
        let http = Self {
            requests: family.counters(
                "thingshub_http_requests_total",
                "Requests, by operation of the OpenAPI document (none for pages and unknown paths) and status.",
                &["operation", "status"],
            ),
            seconds: family.histograms(
                "thingshub_http_request_seconds",
                "Time from the head of a request until its response begins, by operation.",
                &["operation"],
                SECONDS,
            ),
            running: family.gauge(
                "thingshub_http_requests_running",
                "Requests whose response has not begun.",
            ),
            connections: family.gauge("thingshub_http_connections", "Open connections."),
            opened: family.counters(
                "thingshub_http_connections_total",
                "Connections, by outcome: accepted, or refused because their address has too many.",
                &["outcome"],
            ),
        };
        for outcome in [ACCEPTED, REFUSED] {
            http.opened.with_label_values(&[outcome]);
        }
        http
    }

    /// Counts a request as running until the returned value is dropped.
    pub fn begin_request(&self) -> Open {
        Open::new(&self.running)
    }

    /// Counts an answered request.
    pub fn count_request(&self, operation: &'static str, status: &str, took: Duration) {
        self.requests.with_label_values(&[operation, status]).inc();
        self.seconds
            .with_label_values(&[operation])
            .observe(took.as_secs_f64());
    }

    /// Counts an accepted connection, as open until the returned value is dropped.
    pub fn open_connection(&self) -> Open {
        self.opened.with_label_values(&[ACCEPTED]).inc();
        Open::new(&self.connections)
    }

    /// Counts a connection that was closed because its address has too many.
    pub fn count_refused_connection(&self) {
        self.opened.with_label_values(&[REFUSED]).inc();
    }
}

impl Open {
    pub(super) fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
