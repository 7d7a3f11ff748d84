//! Calls of drivers and their worker processes.

use std::time::Duration;

use prometheus::{Counter, Histogram, IntCounterVec};

use super::family::Family;
use crate::driver::{DriverErrorKind, Observer, WorkerEnd};

/// From an idle worker to the longest call.
const SECONDS: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
];

/// Outcome of a call that succeeded.
const OK: &str = "ok";

/// Metrics of drivers.
pub struct Drivers {
    waits: Histogram,
    calls: IntCounterVec,
    cpu: Counter,
    ends: IntCounterVec,
}

impl Drivers {
    pub(super) fn new(family: &Family<'_>) -> Self {
        let drivers = Self {
            waits: family.histogram(
                "thingshub_driver_wait_seconds",
                "Time for which a driver call waited for a worker.",
                SECONDS,
            ),
            calls: family.counters(
                "thingshub_driver_calls_total",
                "Driver calls, by outcome: ok, or the kind of the failure.",
                &["outcome"],
            ),
            cpu: family.float_counter(
                "thingshub_driver_cpu_seconds_total",
                "CPU time of driver calls.",
            ),
            ends: family.counters(
                "thingshub_driver_worker_ends_total",
                "Worker processes that ended and were replaced, by reason.",
                &["reason"],
            ),
        };
        let failures = DriverErrorKind::ALL.map(DriverErrorKind::as_str);
        for outcome in failures.iter().copied().chain([OK]) {
            drivers.calls.with_label_values(&[outcome]);
        }
        for end in WorkerEnd::ALL {
            drivers.ends.with_label_values(&[end.as_str()]);
        }
        drivers
    }
}

impl Observer for Drivers {
    fn call_dequeued(&self, waited: Duration) {
        self.waits.observe(waited.as_secs_f64());
    }

    fn call_answered(&self, failure: Option<DriverErrorKind>) {
        let outcome = failure.map_or(OK, DriverErrorKind::as_str);
        self.calls.with_label_values(&[outcome]).inc();
    }

    fn cpu_time_used(&self, time: Duration) {
        self.cpu.inc_by(time.as_secs_f64());
    }

    fn worker_ended(&self, end: WorkerEnd) {
        self.ends.with_label_values(&[end.as_str()]).inc();
    }
}
