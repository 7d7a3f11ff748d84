//! Attempts to deliver, dead letters, and the leases that this hub holds.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::family::Family;

/// From a receiver next door to the longest timeout of an integration.
const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
];

const DELIVERED: &str = "delivered";
const RETRY: &str = "retry";
const DEAD: &str = "dead";

/// Why deliveries became dead letters.
const FAILED: &str = "failed";
const GIVEN_UP: &str = "given_up";

/// Metrics of deliveries.
pub struct Deliveries {
    attempts: IntCounterVec,
    seconds: HistogramVec,
    dead: IntCounterVec,
    leases: IntGaugeVec,
    /// Integrations that were paused because they failed for too long.
    pub paused: IntCounter,
}

/// Work that one of the hubs on a database has a lease for.
#[derive(Debug, Clone, Copy)]
pub enum Lease {
    /// Deliveries of an integration.
    Integration,
    /// Messages of a broker.
    Subscription,
}

/// A lease that counts as held until dropped.
pub struct Held(IntGauge);

impl Lease {
    const ALL: [Self; 2] = [Self::Integration, Self::Subscription];

    fn as_str(self) -> &'static str {
        match self {
            Self::Integration => "integration",
            Self::Subscription => "subscription",
        }
    }
}

impl Deliveries {
    pub(super) fn new(family: &Family<'_>, targets: &[&'static str]) -> Self {
        let deliveries = Self {
            attempts: family.counters(
                "thingshub_delivery_attempts_total",
                "Attempts to deliver whose outcome is stored, by type of the target and outcome: \
                 delivered, retry (failed, to be repeated) or dead (failed for good).",
                &["target", "outcome"],
            ),
            seconds: family.histograms(
                "thingshub_delivery_attempt_seconds",
                "Time of an attempt to deliver, by type of the target.",
                &["target"],
                SECONDS,
            ),
            dead: family.counters(
                "thingshub_dead_letters_total",
                "Deliveries that became dead letters, by reason: failed (the last attempt failed) or given_up (too \
                 many waited, or for too long).",
                &["reason"],
            ),
            leases: family.gauges(
                "thingshub_leases_held",
                "Integrations and subscriptions that this hub works for, by kind.",
                &["kind"],
            ),
            paused: family.counter(
                "thingshub_integrations_paused_total",
                "Integrations that the hub paused because they failed for too long.",
            ),
        };
        for target in targets {
            for outcome in [DELIVERED, RETRY, DEAD] {
                deliveries.attempts.with_label_values(&[*target, outcome]);
            }
            deliveries.seconds.with_label_values(&[*target]);
        }
        for reason in [FAILED, GIVEN_UP] {
            deliveries.dead.with_label_values(&[reason]);
        }
        for kind in Lease::ALL {
            deliveries.leases.with_label_values(&[kind.as_str()]);
        }
        deliveries
    }

    /// Counts an attempt that failed and is repeated later.
    pub fn count_retry(&self, target: &'static str, took: Duration) {
        self.count(target, RETRY, took);
    }

    /// Counts an attempt that delivered the message.
    pub fn count_delivered(&self, target: &'static str, took: Duration) {
        self.count(target, DELIVERED, took);
    }

    /// Counts an attempt after which the delivery became a dead letter.
    pub fn count_dead(&self, target: &'static str, took: Duration) {
        self.count(target, DEAD, took);
        self.dead.with_label_values(&[FAILED]).inc();
    }

    /// Counts deliveries that became dead letters without an attempt.
    pub fn count_given_up(&self, deliveries: u64) {
        self.dead.with_label_values(&[GIVEN_UP]).inc_by(deliveries);
    }

    /// Counts messages that a follower has acknowledged.
    pub fn count_followed(&self, target: &'static str, messages: usize) {
        self.attempts
            .with_label_values(&[target, DELIVERED])
            .inc_by(messages as u64);
    }

    /// Counts a lease until the returned value is dropped.
    pub fn hold(&self, lease: Lease) -> Held {
        let gauge = self.leases.with_label_values(&[lease.as_str()]);
        gauge.inc();
        Held(gauge)
    }

    fn count(&self, target: &'static str, outcome: &'static str, took: Duration) {
        self.attempts.with_label_values(&[target, outcome]).inc();
        self.seconds
            .with_label_values(&[target])
            .observe(took.as_secs_f64());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}
