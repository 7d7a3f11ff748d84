//! The spans of the hub.
//!
//! Names and attributes follow OpenTelemetry's semantic conventions where these have one; attributes that only the hub
//! has begin with `thingshub.`.

use std::net::IpAddr;

use hyper::{HeaderMap, Method};
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt},
};
use tracing::{Span, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use super::{origins::Origins, propagation};

/// Target of all spans that are exported, and of nothing else.
pub const TARGET: &str = "thingshub_traces";

/// Names of attributes that are recorded when a span ends.
const STATUS: &str = "http.response.status_code";
const ERROR: &str = "error.type";
const OUTCOME: &str = "thingshub.outcome";
const BATCH_SIZE: &str = "thingshub.batch.size";

/// The span of an HTTP request.
#[derive(Clone)]
pub struct Request(Span);

impl Request {
    /// Begins the span. It continues the trace that the request's headers name.
    pub fn begin(method: &Method, headers: &HeaderMap, id: &str, client: IpAddr) -> Self {
        let method = known(method);
        let span = info_span!(
            target: TARGET,
            "request",
            "otel.name" = method,
            "otel.kind" = "server",
            "otel.status_code" = Empty,
            "http.request.method" = method,
            "http.route" = Empty,
            "http.response.status_code" = Empty,
            "error.type" = Empty,
            "client.address" = %client,
            "thingshub.request.id" = id,
        );
        if !span.is_disabled() {
            continue_trace(&span, propagation::caller(headers));
        }
        Self(span)
    }

    /// Returns the span, to run the request in.
    pub fn span(&self) -> Span {
        self.0.clone()
    }

    /// Records the response, and the operation with the template of its path, if the request ran one.
    pub fn answered(&self, ran: Option<(&str, &str)>, status: u16) {
        if self.0.is_disabled() {
            return;
        }
        if let Some((operation, route)) = ran {
            // By the context, because a field is not read as the name once the span has begun.
            self.0.context().span().update_name(operation.to_owned());
            self.0.record("http.route", route);
        }
        note_status(&self.0, Some(status));
        if status >= 500 {
            fail(&self.0, &status.to_string());
        }
    }
}

/// Begins the span of a message of a network server.
pub fn ingest(network: &'static str) -> Span {
    info_span!(
        target: TARGET,
        "ingest",
        "otel.kind" = "consumer",
        "otel.status_code" = Empty,
        "error.type" = Empty,
        "thingshub.network.type" = network,
        "thingshub.outcome" = Empty,
    )
}

/// Begins the span of a message that waits for its batch to be written.
pub fn commit() -> Span {
    info_span!(
        target: TARGET,
        "commit",
        "otel.status_code" = Empty,
        "error.type" = Empty,
        "thingshub.batch.size" = Empty,
    )
}

/// Records the size of the batch of a message, and whether the message was not written.
pub fn note_batch(span: &Span, size: usize, is_failure: bool) {
    if span.is_disabled() {
        return;
    }
    span.record(BATCH_SIZE, i64::try_from(size).unwrap_or(i64::MAX));
    if is_failure {
        fail(span, "not written");
    }
}

/// Begins the span of a call of a driver's function.
pub fn driver(function: &'static str, driver: impl std::fmt::Display) -> Span {
    info_span!(
        target: TARGET,
        "driver",
        "otel.name" = function,
        "otel.status_code" = Empty,
        "error.type" = Empty,
        "thingshub.driver" = %driver,
        "thingshub.outcome" = Empty,
    )
}

/// An attempt to send something.
pub struct Attempt {
    /// Id of the integration or network connection.
    pub owner: i64,
    /// Type of the target, or protocol of the network server.
    pub kind: &'static str,
    /// Id of the delivery or downlink.
    pub id: Uuid,
    /// Number of the attempt.
    pub number: i32,
}

/// Begins the span of an attempt to deliver. It continues the trace of the uplink that the delivery is about, if that
/// is known, or otherwise the current one.
pub fn delivery(attempt: &Attempt, origins: &Origins, subject: Uuid) -> Span {
    let kind = match attempt.kind {
        "mqtt" | "kafka" => "producer",
        _ => "client",
    };
    let span = info_span!(
        target: TARGET,
        "deliver",
        "otel.kind" = kind,
        "otel.status_code" = Empty,
        "http.response.status_code" = Empty,
        "error.type" = Empty,
        "thingshub.integration.id" = attempt.owner,
        "thingshub.target.type" = attempt.kind,
        "thingshub.delivery.id" = %attempt.id,
        "thingshub.delivery.attempt" = attempt.number,
        "thingshub.outcome" = Empty,
    );
    if !span.is_disabled() {
        continue_trace(&span, origins.find(subject));
    }
    span
}

/// Begins the span of an attempt to hand a downlink to its network server.
pub fn downlink(attempt: &Attempt) -> Span {
    info_span!(
        target: TARGET,
        "send downlink",
        "otel.kind" = "client",
        "otel.status_code" = Empty,
        "http.response.status_code" = Empty,
        "error.type" = Empty,
        "thingshub.network_connection.id" = attempt.owner,
        "network.protocol.name" = attempt.kind,
        "thingshub.downlink.id" = %attempt.id,
        "thingshub.downlink.attempt" = attempt.number,
        "thingshub.outcome" = Empty,
    )
}

/// Records the outcome of a span, the HTTP status of the other side, and whether it failed.
pub fn end(span: &Span, outcome: &'static str, status: Option<u16>, is_failure: bool) {
    if span.is_disabled() {
        return;
    }
    span.record(OUTCOME, outcome);
    note_status(span, status);
    if is_failure {
        match status {
            Some(status) => fail(span, &status.to_string()),
            None => fail(span, outcome),
        }
    }
}

fn note_status(span: &Span, status: Option<u16>) {
    if let Some(status) = status {
        span.record(STATUS, i64::from(status));
    }
}

fn fail(span: &Span, error: &str) {
    span.record("otel.status_code", "ERROR");
    span.record(ERROR, error);
}

fn continue_trace(span: &Span, parent: Option<SpanContext>) {
    if let Some(parent) = parent {
        // Fails only after the span has begun.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// Returns the name of a method. Clients can send any text as a method.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}
