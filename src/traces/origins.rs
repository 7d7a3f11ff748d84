//! The traces of uplinks whose deliveries are still to come.
//!
//! A delivery waits in the database, which keeps no traces. Their contexts are remembered here for a while, so that
//! attempts continue the trace of their uplink. After a restart, or on another hub, an attempt begins a trace.

use std::time::Duration;

use moka::sync::Cache;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

/// Maximum number of uplinks that are remembered, and the time for which each is.
const REMEMBERED_MAX: u64 = 16_384;
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// Traces by uplink. Empty while nothing is traced. Cheap to clone.
#[derive(Clone)]
pub struct Origins(Cache<Uuid, SpanContext>);

impl Default for Origins {
    fn default() -> Self {
        let traces = Cache::builder()
            .max_capacity(REMEMBERED_MAX)
            .time_to_live(REMEMBERED_FOR)
            .build();
        Self(traces)
    }
}

impl Origins {
    /// Remembers the span in which an uplink was recorded, including one that is not kept: its deliveries are not
    /// kept either.
    pub fn remember(&self, uplink: Uuid, span: &Span) {
        if span.is_disabled() {
            return;
        }
        let context = span.context().span().span_context().clone();
        if context.is_valid() {
            self.0.insert(uplink, context);
        }
    }

    /// Returns the trace of an uplink.
    pub(super) fn find(&self, uplink: Uuid) -> Option<SpanContext> {
        self.0.get(&uplink)
    }
}
