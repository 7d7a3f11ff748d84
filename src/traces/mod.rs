//! Traces for operators, sent to their collector with OpenTelemetry's protocol over HTTP.
//!
//! | file | contents |
//! |---|---|
//! | `spans.rs` | the spans of the hub, and what each records |
//! | `propagation.rs` | the header `traceparent`, read and written |
//! | `origins.rs` | the trace of the uplink that a delivery belongs to |
//! | `collector.rs` | requests to the collector |
//!
//! Spans are `tracing` spans of the target [`TARGET`]. Without a collector nobody takes this target, and a span costs
//! as much as a log line that is filtered out. Ended spans wait in a bounded queue, from which a thread of its own
//! sends them; spans that find it full are dropped.
//!
//! Invariant: a span holds ids, names of types, counts and outcomes, and never texts that others wrote, tokens, keys or
//! query strings.

mod collector;
mod origins;
mod propagation;
mod spans;

use std::time::Duration;

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanLimits},
};
use tokio::runtime::Handle;
use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::config::Config;
use collector::Collector;

pub use origins::Origins;
pub use propagation::{HEADER, traceparent};
pub use spans::{
    Attempt, Request, TARGET, commit, delivery, downlink, driver, end, ingest, note_batch,
};

/// Path of traces below the collector's address.
const PATH: &str = "/v1/traces";
/// Maximum number of ended spans that wait, and of spans in one request.
const QUEUE_MAX: usize = 4096;
const BATCH_MAX: usize = 512;
/// Longest time that an ended span waits for others.
const SEND_EVERY: Duration = Duration::from_secs(1);
/// Longest time for the last request when the hub stops.
const END_MAX: Duration = Duration::from_secs(2);
/// Maximum number of attributes of a span.
const ATTRIBUTES_MAX: u32 = 32;

/// The export of traces.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts the export if the settings name a collector. Requests to it run on `runtime`.
    pub fn start(config: &Config, runtime: Handle) -> Result<Option<Self>, String> {
        let Some(endpoint) = &config.otlp_endpoint else {
            return Ok(None);
        };
        let collector = Collector::new(runtime)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(format!("{}{PATH}", endpoint.trim_end_matches('/')))
            .with_protocol(Protocol::HttpBinary)
            .with_headers(config.otlp_headers.0.iter().cloned().collect())
            .build()
            .map_err(|error| format!("setting otlp_endpoint: {error}"))?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(SEND_EVERY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        // Without the library's own detectors: settings come from the hub's list alone.
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", env!("CARGO_PKG_NAME")),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        let ratio = Sampler::TraceIdRatioBased(config.otlp_sample_ratio.0);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_span_limits(SpanLimits {
                max_attributes_per_span: ATTRIBUTES_MAX,
                ..SpanLimits::default()
            })
            .with_resource(resource)
            .build();
        Ok(Some(Self(provider)))
    }

    /// Returns the layer that takes the spans.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let is_ours =
            filter_fn(|metadata: &Metadata<'_>| metadata.is_span() && metadata.target() == TARGET);
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(env!("CARGO_PKG_NAME")))
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(is_ours.with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends the spans that wait, within a short time.
    pub fn end(self) {
        if self.0.shutdown_with_timeout(END_MAX).is_err() {
            tracing::debug!("the last spans were not sent");
        }
    }
}
