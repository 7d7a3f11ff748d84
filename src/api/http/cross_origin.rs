//! Pages of other web origins as clients (CORS, the Fetch standard).
//!
//! A page may use the API from a browser if the setting `cors_origins` names its origin. The hub knows no cookies, so
//! no credentials are allowed beside the headers that a page sends itself.

use std::sync::Arc;

use poem::{
    Request, Response,
    http::{
        HeaderMap, HeaderValue, Method,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
            ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
        },
    },
};

use super::methods::Methods;
use crate::config::Origins;

/// Request headers that pages may send.
const REQUEST_HEADERS: &str = "Accept, Authorization, Cache-Control, Content-Encoding, Content-Type, \
     Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Ingest-Key, X-Request-Id";
/// Response headers that pages may read beside those that are always readable.
const RESPONSE_HEADERS: &str = "Allow, Content-Disposition, ETag, Link, Location, Retry-After, \
     WWW-Authenticate, X-Error-Field, X-Error-Reason, X-Request-Id";
/// Seconds for which browsers may remember the answer to a preflight: the longest that Chromium takes.
const REMEMBERED_S: &str = "7200";

/// Decides which pages may read responses. Cheap to clone.
#[derive(Clone, Default)]
pub struct CrossOrigin {
    origins: Arc<[String]>,
    methods: Methods,
}

impl CrossOrigin {
    /// Allows these origins on the paths of operations.
    pub fn new(origins: &Origins, methods: Methods) -> Self {
        Self {
            origins: origins.0.as_slice().into(),
            methods,
        }
    }

    /// Returns the origin of the page that sends the request, if it is allowed.
    pub fn page(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(ORIGIN)?;
        let is_allowed = self
            .origins
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes());
        is_allowed.then(|| origin.clone())
    }

    /// Lets a page read a response, whatever its status. Without allowed origins, responses stay as they are.
    pub fn mark(&self, page: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        // Of all responses: a cache must not give one to a page that was made for another client.
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = page {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let readable = HeaderValue::from_static(RESPONSE_HEADERS);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, readable);
        }
    }

    /// Returns the answer to the question whether a page may send a request (a preflight); `None` if this is no such
    /// question, or the page may not send it: then the request is answered like any other.
    pub fn preflight(&self, request: &Request) -> Option<Response> {
        if *request.method() != Method::OPTIONS {
            return None;
        }
        self.page(request)?;
        let method = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD)?;
        let methods = self.methods.at(request.uri().path())?;
        if !methods
            .split(", ")
            .any(|known| known.as_bytes() == method.as_bytes())
        {
            return None;
        }
        let response = Response::builder()
            .header(ACCESS_CONTROL_ALLOW_METHODS, methods)
            .header(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS)
            .header(ACCESS_CONTROL_MAX_AGE, REMEMBERED_S);
        Some(response.finish())
    }
}
