//! A collector of traces: an HTTP server that takes OTLP in protocol buffers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
};
use poem::{
    IntoResponse, Request, Response,
    http::{HeaderMap, StatusCode},
};
use prost::Message;

use crate::{eventually, support::http_server::HttpServer};

/// A span as it was exported, with ids in hexadecimal.
#[derive(Clone, Debug)]
pub struct Span {
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub attributes: BTreeMap<String, String>,
}

impl Span {
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Book {
    spans: Vec<Span>,
    resource: BTreeMap<String, String>,
    headers: HeaderMap,
    bytes: Vec<u8>,
    requests: usize,
}

pub struct Collector {
    /// Its address as a URL.
    pub url: String,
    book: Arc<Mutex<Book>>,
    _server: HttpServer,
}

impl Collector {
    /// Starts a collector that takes every request.
    pub async fn start() -> Self {
        Self::begin(false).await
    }

    /// Starts a collector that answers no request.
    pub async fn hanging() -> Self {
        Self::begin(true).await
    }

    async fn begin(hangs: bool) -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let kept = book.clone();
        let server = HttpServer::start(move |request| {
            let book = kept.clone();
            async move { Ok(take(request, &book, hangs).await) }
        });
        let server = server.await;
        Self {
            url: server.url.clone(),
            book,
            _server: server,
        }
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.book.lock().unwrap().spans.clone()
    }

    /// Waits for a span of which this holds.
    pub async fn gets(&self, what: &str, is_it: impl Fn(&Span) -> bool) -> Span {
        eventually(what, async || self.spans().into_iter().find(&is_it)).await
    }

    /// Attributes of what sent the spans.
    pub fn resource(&self) -> BTreeMap<String, String> {
        self.book.lock().unwrap().resource.clone()
    }

    /// Headers of the last request.
    pub fn headers(&self) -> HeaderMap {
        self.book.lock().unwrap().headers.clone()
    }

    /// Number of requests so far.
    pub fn requests(&self) -> usize {
        self.book.lock().unwrap().requests
    }

    /// True if a text is anywhere in the bytes of all requests.
    pub fn has(&self, text: &str) -> bool {
        let book = self.book.lock().unwrap();
        let mut places = book.bytes.windows(text.len());
        places.any(|bytes| bytes == text.as_bytes())
    }
}

async fn take(mut request: Request, book: &Mutex<Book>, hangs: bool) -> Response {
    book.lock().unwrap().requests += 1;
    if hangs {
        return std::future::pending().await;
    }
    let is_right = request.uri().path() == "/v1/traces"
        && request.header("content-type") == Some("application/x-protobuf");
    if !is_right {
        return StatusCode::NOT_FOUND.into_response();
    }
    let bytes = request.take_body().into_bytes().await.unwrap();
    let Ok(export) = ExportTraceServiceRequest::decode(&*bytes) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut book = book.lock().unwrap();
    book.headers = request.headers().clone();
    book.bytes.extend_from_slice(&bytes);
    for group in export.resource_spans {
        book.resource = texts(&group.resource.unwrap_or_default().attributes);
        let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
        let spans = spans.map(|span| {
            assert!(span.events.is_empty(), "{span:?}");
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
            Span {
                attributes: texts(&span.attributes),
                name: span.name,
                trace: hex::encode(span.trace_id),
                id: hex::encode(span.span_id),
                parent: hex::encode(span.parent_span_id),
            }
        });
        book.spans.extend(spans);
    }
    StatusCode::OK.into_response()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| {
        let value = attribute.value.as_ref().and_then(|any| any.value.as_ref());
        match value {
            Some(Value::StringValue(text)) => text.clone(),
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        }
    };
    let named = attributes.iter();
    named.map(|it| (it.key.clone(), text(it))).collect()
}
