//! The outermost layer: nothing gets past it but the contract's statuses with the error object.
//!
//! It names each request (`X-Request-Id`), refuses plain HTTP, bounds the time, catches panics, and
//! turns whatever the framework itself answers into the error object.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderName, HeaderValue, Method},
};
use tracing::Instrument;

use super::{
    client::{self, Client},
    failure::{self, IsErrorObject},
    leftover::Leftover,
};
use crate::{config::Networks, error::Error, id::new_uuid};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over from the client.
const REQUEST_ID_MAX: usize = 64;

#[derive(Clone)]
struct RequestId(HeaderValue);

/// The request's id, as it is in the log and in the answer.
pub fn id_of(request: &Request) -> &str {
    let id: Option<&RequestId> = request.data();
    id.and_then(|id| id.0.to_str().ok()).unwrap_or_default()
}

/// What the outermost layer must know.
#[derive(Clone)]
pub struct Edge {
    /// Longest time for a request.
    pub timeout: Duration,
    /// Proxies whose word on the client's address and scheme is taken.
    pub trusted_proxies: Networks,
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

/// An endpoint behind the edge.
pub struct EdgeEndpoint<E> {
    edge: Edge,
    inner: E,
}

impl<E: Endpoint> Endpoint for EdgeEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let id = request_id(&request);
        let client = Client::find(&request, &self.edge.trusted_proxies);
        let span = tracing::info_span!(
            "request",
            request.id = id.to_str().unwrap_or_default(),
            client.address = %client.0,
            http.method = %request.method(),
            http.path = request.uri().path(),
            http.operation = tracing::field::Empty,
        );
        let is_head = *request.method() == Method::HEAD;
        request.set_data(RequestId(id.clone()));
        request.set_data(client);
        let leftover = Leftover::watch(&mut request);
        let mut response = self.answer(request).instrument(span).await;
        if let Some(leftover) = leftover {
            leftover.drain().await;
        }
        if is_head {
            // HTTP/2 clients take a body here for a broken stream.
            response.set_body(());
        }
        response.headers_mut().insert(REQUEST_ID, id);
        response.headers_mut().insert(
            "X-Content-Type-Options",
            HeaderValue::from_static("nosniff"),
        );
        Ok(response)
    }
}

impl<E: Endpoint> EdgeEndpoint<E> {
    async fn answer(&self, request: Request) -> Response {
        let begun = Instant::now();
        let response = if client::is_secure(&request, &self.edge.trusted_proxies) {
            self.bounded(request).await
        } else {
            failure::respond(&Error::Invalid(
                "this is plain HTTP: use https://".to_owned(),
            ))
        };
        tracing::debug!(
            http.status = response.status().as_u16(),
            duration_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
        response
    }

    async fn bounded(&self, request: Request) -> Response {
        // On the heap, because each layer of futures around this one would copy all of it.
        let work = AssertUnwindSafe(Box::pin(self.inner.call(request))).catch_unwind();
        let response = match tokio::time::timeout(self.edge.timeout, work).await {
            Ok(Ok(Ok(response))) => response.into_response(),
            Ok(Ok(Err(error))) => return failure::respond(&failure::of_status(error.status())),
            Ok(Err(_panic)) => {
                return failure::respond(&Error::internal("a panic; its message is above"));
            }
            Err(_) => return failure::respond(&Error::overloaded("the request took too long")),
        };
        let failed = response.status().is_client_error() || response.status().is_server_error();
        if failed && response.data::<IsErrorObject>().is_none() {
            return failure::respond(&failure::of_status(response.status()));
        }
        response
    }
}

/// The client's own id where it is a plain token, or a new one.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|id| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.as_bytes().iter().all(plain)
    });
    let new = || {
        HeaderValue::try_from(new_uuid().to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("-"))
    };
    given.cloned().unwrap_or_else(new)
}

#[cfg(test)]
mod tests {
    use poem::{endpoint::make, http::StatusCode};
    use serde_json::{Value, json};

    use super::*;

    async fn answer<E: Endpoint>(inner: E) -> (StatusCode, Value) {
        let edge = Edge {
            timeout: Duration::from_millis(10),
            trusted_proxies: Networks::default(),
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
