//! Families of metrics, registered as they are made.

use prometheus::{
    Counter, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, core::Collector,
};

/// Names and labels are constants, so that a test that makes all metrics shows that they are valid.
const VALID: &str = "names and labels of metrics are valid and unique";

/// Makes families of metrics in a registry.
pub struct Family<'a> {
    registry: &'a Registry,
}

impl<'a> Family<'a> {
    /// Makes families in this registry.
    pub fn of(registry: &'a Registry) -> Self {
        Self { registry }
    }

    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.added(IntCounter::new(name, help))
    }

    /// A counter of a quantity that is no whole number, such as seconds.
    pub fn float_counter(&self, name: &str, help: &str) -> Counter {
        self.added(Counter::new(name, help))
    }

    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.added(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.added(IntGauge::new(name, help))
    }

    /// A gauge of a quantity that is no whole number, or may be unknown (`NaN`).
    pub fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        self.added(Gauge::new(name, help))
    }

    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.added(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.added(Histogram::with_opts(options))
    }

    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.added(HistogramVec::new(options, labels))
    }

    fn added<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let collector = made.expect(VALID);
        self.registry
            .register(Box::new(collector.clone()))
            .expect(VALID);
        collector
    }
}
