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
    routes: Arc<[Route]>,
}

/// All paths with the methods that they take.
#[derive(Default)]
pub struct Paths(Vec<Route>);

#[derive(Clone)]
struct Route {
    /// Segments of the path; `None` for a parameter.
    segments: Vec<Option<String>>,
    methods: Vec<Method>,
}

impl Paths {
    /// Adds a path, in which `{name}` is a parameter.
    pub fn add(&mut self, path: &str, methods: impl IntoIterator<Item = Method>) {
        let mut methods: Vec<Method> = methods.into_iter().collect();
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        let segment = |segment: &str| (!segment.starts_with('{')).then(|| segment.to_owned());
        self.0.push(Route {
            segments: path.split('/').map(segment).collect(),
            methods,
        });
    }
}

impl Route {
    fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        let fits = self
            .segments
            .iter()
            .all(|own| match (own, segments.next()) {
                (Some(own), Some(segment)) => own == segment,
                (None, Some(segment)) => !segment.is_empty(),
                (_, None) => false,
            });
        fits && segments.next().is_none()
    }

    /// Orders the routes that match a path: a fixed segment comes before a parameter, as in the router.
    fn is_fixed(&self) -> Vec<bool> {
        self.segments.iter().map(Option::is_some).collect()
    }
}

impl CrossOrigin {
    /// Allows these origins on these paths.
    pub fn new(origins: &Origins, paths: &Paths) -> Self {
        Self {
            origins: origins.0.as_slice().into(),
            routes: paths.0.as_slice().into(),
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
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        let methods = self.methods_at(request.uri().path())?;
        if !methods.contains(&method) {
            return None;
        }
        let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
        let response = Response::builder()
            .header(ACCESS_CONTROL_ALLOW_METHODS, methods.join(", "))
            .header(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS)
            .header(ACCESS_CONTROL_MAX_AGE, REMEMBERED_S);
        Some(response.finish())
    }

    fn methods_at(&self, path: &str) -> Option<&[Method]> {
        let matching = self.routes.iter().filter(|route| route.matches(path));
        let route = matching.max_by_key(|route| route.is_fixed())?;
        Some(&route.methods)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(path: &str) -> Vec<String> {
        let mut paths = Paths::default();
        paths.add("/devices", [Method::GET, Method::POST]);
        paths.add("/devices/{id}", [Method::PUT]);
        paths.add("/devices/import", [Method::POST]);
        paths.add("/devices/{id}/labels", [Method::DELETE]);
        let allowed = CrossOrigin::new(&Origins::default(), &paths);
        let found = allowed.methods_at(path).unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_path_takes_the_methods_of_its_closest_route() {
        for (path, expected) in [
            ("/devices", &["GET", "POST", "HEAD"][..]),
            ("/devices/a", &["PUT"]),
            ("/devices/import", &["POST"]),
            ("/devices/import/labels", &["DELETE"]),
            ("/devices/", &[]),
            ("/devices//labels", &[]),
            ("/devices/a/labels/b", &[]),
            ("/", &[]),
        ] {
            assert_eq!(methods(path), expected, "{path}");
        }
    }
}
