//! The outermost layer: all responses leave it with one of the documented status codes, and errors with the
//! error object.
//!
//! It assigns each request its `X-Request-Id`, refuses plain HTTP and requests without exactly one host, bounds
//! the time, catches panics, turns the framework's own errors into the error object, adds security headers, and lets
//! pages of allowed origins read all of this.

use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderValue, Method, StatusCode, header},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    body_room::BodyRoom,
    client::{self, Client},
    cross_origin::CrossOrigin,
    failure::{self, IsErrorObject},
    host,
    leftover::{UnreadBody, Unsent},
    methods::Methods,
    request_id::{self, RequestId},
};
use crate::{
    config::Networks,
    error::{Error, Reason},
    hub::subscriber,
    metrics::Metrics,
    shares::{Place, Shares},
    traces,
};

/// Settings and state of the outermost layer.
#[derive(Clone)]
pub struct Edge {
    /// Corrects known defects in the requests of some clients, before anything else reads them.
    pub amend: fn(&mut Request),
    /// Longest time for a request.
    pub timeout: Duration,
    /// Proxies that are trusted to report the client's address and scheme.
    pub trusted_proxies: Networks,
    /// `max-age` of HSTS in seconds; 0 makes browsers forget it.
    pub hsts_max_age_s: u64,
    /// Web pages of other origins that may read responses.
    pub cross_origin: CrossOrigin,
    /// Running requests, counted by client address.
    pub requests: Shares<IpAddr>,
    /// Maximum number of running requests of one address.
    pub address_requests_max: usize,
    /// Methods of each path.
    pub methods: Methods,
    /// True if plain HTTP is served as well.
    pub allows_plain: bool,
    /// Counts the requests.
    pub metrics: Metrics,
    /// Cancelled when the hub stops and no longer waits for request bodies.
    pub cut: CancellationToken,
}

/// Marks a response whose `Cache-Control` says how it may be cached: one without private data, such as a page of the
/// documentation, or a picture that a browser may show again.
#[derive(Clone, Copy)]
pub struct IsCacheable;

/// Operation that a request ran with the template of its path, for the metrics and traces.
#[derive(Clone, Default)]
pub struct RanOperation(Arc<OnceLock<(&'static str, Arc<str>)>>);

impl RanOperation {
    /// Name for requests that ran no operation.
    const NONE: &'static str = "none";

    /// Records the operation.
    pub fn note(&self, operation: &'static str, route: Arc<str>) {
        let _ = self.0.set((operation, route));
    }

    fn operation(&self) -> &'static str {
        self.0.get().map_or(Self::NONE, |(operation, _)| operation)
    }

    fn traced(&self) -> Option<(&str, &str)> {
        self.0
            .get()
            .map(|(operation, route)| (*operation, &**route))
    }
}

impl<E: Endpoint> Middleware<E> for Edge {
    type Output = EdgeEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        EdgeEndpoint {
            edge: self.clone(),
            inner,
        }
    }
}

/// An endpoint within the outermost layer.
pub struct EdgeEndpoint<E> {
    edge: Edge,
    inner: E,
}

impl<E: Endpoint> Endpoint for EdgeEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        (self.edge.amend)(&mut request);
        let id = RequestId::take(&request);
        let client = Client::find(&request, &self.edge.trusted_proxies);
        let (method, headers) = (request.method(), request.headers());
        let traced = traces::Request::begin(method, headers, id.as_str(), client.0);
        let span = traced.span().in_scope(|| {
            tracing::info_span!(
                "request",
                request.id = id.as_str(),
                client.address = %client.0,
                http.method = %request.method(),
                http.path = request.uri().path(),
                http.operation = tracing::field::Empty,
            )
        });
        let is_head = *request.method() == Method::HEAD;
        let page = self.edge.cross_origin.page(&request);
        request.set_data(id.clone());
        request.set_data(client);
        request.set_data(BodyRoom::default());
        let leftover = UnreadBody::watch(&mut request, &self.edge.cut);
        let mut response = self
            .answer(request, &traced)
            .instrument(span)
            .instrument(traced.span())
            .await;
        if let Some(leftover) = leftover {
            leftover.drain().await;
        }
        if is_head {
            // HTTP/2 clients take a body in the response to HEAD for a broken stream.
            response.set_body(());
        }
        let is_cacheable = response.data::<IsCacheable>().is_some();
        let headers = response.headers_mut();
        self.edge.cross_origin.mark(page, headers);
        headers.insert(request_id::HEADER, id.0);
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        if !is_cacheable {
            // Any response may hold private data or a secret, as the one to a log-in does, so no cache may keep
            // it.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Ok(response)
    }
}

impl<E: Endpoint> EdgeEndpoint<E> {
    async fn answer(&self, mut request: Request, traced: &traces::Request) -> Response {
        let begun = Instant::now();
        let _running = self.edge.metrics.http.begin_request();
        let ran = RanOperation::default();
        request.set_data(ran.clone());
        let response = if client::is_secure(&request, &self.edge.trusted_proxies) {
            self.secured(request).await
        } else if self.edge.allows_plain {
            self.bounded(request).await
        } else {
            failure::respond(&Error::rejected(
                Reason::PlainHttp,
                "this is plain HTTP: use https://",
            ))
        };
        let status = response.status();
        let http = &self.edge.metrics.http;
        http.count_request(ran.operation(), status.as_str(), begun.elapsed());
        traced.answered(ran.traced(), status.as_u16());
        tracing::debug!(
            http.status = response.status().as_u16(),
            duration_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
        response
    }

    /// Returns the response to a request that arrived encrypted.
    async fn secured(&self, request: Request) -> Response {
        let (host, mut response) = match host::of(&request) {
            Ok(host) => (host, self.bounded(request).await),
            Err(error) => (String::new(), failure::respond(&error)),
        };
        // HSTS applies to all ports of a name: on `localhost` it would affect other servers under development.
        if host != "localhost" && !host.ends_with(".localhost") {
            let value = format!("max-age={}", self.edge.hsts_max_age_s);
            if let Ok(value) = HeaderValue::try_from(value) {
                let headers = response.headers_mut();
                headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
            }
        }
        response
    }

    async fn bounded(&self, request: Request) -> Response {
        let _share = match self.edge.share(&request) {
            Ok(share) => share,
            Err(error) => return failure::respond(&error),
        };
        if let Some(response) = self.edge.cross_origin.preflight(&request) {
            return response;
        }
        let unsent: Option<Unsent> = request.data().cloned();
        let path = request.uri().path().to_owned();
        let refused = |status| match status {
            StatusCode::METHOD_NOT_ALLOWED => Error::MethodNotAllowed {
                allowed: self.edge.methods.allowed(&path).to_owned(),
            },
            status => failure::of_status(status),
        };
        // Boxed, because each layer of futures around this one would otherwise copy all of it.
        let work = AssertUnwindSafe(Box::pin(self.inner.call(request))).catch_unwind();
        let response = match tokio::time::timeout(self.edge.timeout, work).await {
            Ok(Ok(Ok(response))) => response.into_response(),
            Ok(Ok(Err(error))) => return failure::respond(&refused(error.status())),
            Ok(Err(_panic)) => {
                return failure::respond(&Error::internal("a panic; its message is above"));
            }
            Err(_) => return failure::respond(&Error::overloaded("the request took too long")),
        };
        let failed = response.status().is_client_error() || response.status().is_server_error();
        if failed && unsent.is_some_and(|unsent| unsent.is_given_up()) {
            return failure::respond(&Error::shutting_down());
        }
        if failed && response.data::<IsErrorObject>().is_none() {
            return failure::respond(&refused(response.status()));
        }
        response
    }
}

impl Edge {
    /// Takes a place in the share of the request's client. A trusted proxy that forwards for no client needs
    /// none.
    fn share(&self, request: &Request) -> Result<Option<Place<IpAddr>>, Error> {
        let client: Option<&Client> = request.data();
        match client {
            Some(Client(address)) if !self.trusted_proxies.contain(*address) => {
                let member = (subscriber(*address), self.address_requests_max);
                self.requests.enter([member]).map(Some).map_err(|_| {
                    Error::overloaded(
                        "too many requests of this address at a time (setting address_requests_max)",
                    )
                })
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make;
    use serde_json::{Value, json};

    use super::*;

    async fn answer<E: Endpoint>(inner: E) -> (StatusCode, Value) {
        let edge = Edge {
            amend: |_| {},
            timeout: Duration::from_millis(10),
            trusted_proxies: Networks::default(),
            hsts_max_age_s: 0,
            cross_origin: CrossOrigin::default(),
            requests: Shares::new(1),
            address_requests_max: 1,
            methods: Methods::default(),
            allows_plain: false,
            metrics: Metrics::new(&[], &[]),
            cut: CancellationToken::new(),
        };
        let response = edge.transform(inner).bounded(Request::default()).await;
        let status = response.status();
        let body = response.into_body().into_bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn panics_timeouts_and_bare_statuses_leave_as_the_error_object() {
        let (status, body) = answer(make(|_| async { panic!("at work") as Response })).await;
        assert_eq!((status.as_u16(), &body["code"]), (500, &json!(500)));
        assert!(!body.to_string().contains("at work"));

        let (status, body) = answer(make(|_| std::future::pending::<Response>())).await;
        assert_eq!((status.as_u16(), &body["code"]), (503, &json!(503)));

        for (bare, answered) in [(405, 404), (404, 404), (413, 400), (415, 400), (502, 500)] {
            let bare = StatusCode::from_u16(bare).unwrap();
            let (status, body) = answer(make(move |_| async move { bare.into_response() })).await;
            assert_eq!(
                (status.as_u16(), &body["code"]),
                (answered, &json!(answered))
            );
        }
    }
}
