//! HTTP to where a user has said, behind the guard: no proxy, no redirects, bounded in time and in what
//! is read of the answer.
//!
//! It speaks HTTP/1.1 alone: there each byte that a server says unasked is counted ([`super::Counted`]).

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    body::Incoming,
    header::{HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_util::{
    client::legacy::{Client as Pool, Error as PoolError},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{Guard, connector::Connector};
use crate::{
    clock,
    error::{Error, Result},
};

/// How much of an answer is read, so that its connection can be used again.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// Largest head of an answer.
const HEAD_MAX_BYTES: usize = 128 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_MAX: Duration = Duration::from_secs(90);
const IDLE_PER_HOST: usize = 16;

/// Makes requests, over connections that are kept for a while. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pool: Pool<Connector, Full<Bytes>>,
    guard: Guard,
    timeout: Duration,
}

/// The head of an answer; its body can be read.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// How long the server wants to be left alone.
    pub retry_after: Option<TimeDelta>,
    body: Incoming,
    /// When the request is over, whatever has come by then.
    ends_at: Instant,
}

impl Client {
    /// Requests end after `timeout`.
    pub fn new(guard: Guard, timeout: Duration) -> Result<Self> {
        let connector = Connector::new(guard.clone(), CONNECT_TIMEOUT.min(timeout));
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_max_buf_size(HEAD_MAX_BYTES)
            .build(connector.map_err(Error::internal)?);
        Ok(Self {
            pool,
            guard,
            timeout,
        })
    }

    /// Makes a request, and waits for the head of its answer.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Response, String> {
        self.guard.check_url(url)?;
        let ends_at = Instant::now() + self.timeout;
        let uri: Uri = url
            .as_str()
            .parse()
            .map_err(|_| "the URL cannot be sent".to_owned())?;
        let mut request = hyper::Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let agent = HeaderValue::from_static(concat!("thingshub/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(USER_AGENT).or_insert(agent);
        let answer = timeout_at(ends_at, self.pool.request(request)).await;
        let (head, body) = answer
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|error| in_words(&error))?
            .into_parts();
        Ok(Response {
            status: head.status,
            retry_after: retry_after(&head.headers),
            body,
            ends_at,
        })
    }
}

impl Response {
    /// Why the status is no success; any 2xx is one.
    pub fn error(&self) -> Option<String> {
        match self.status {
            status if status.is_success() => None,
            status if status.is_redirection() => {
                Some(format!("answered {status}; redirects are not followed"))
            }
            status => Some(format!("answered {status}")),
        }
    }

    /// The first bytes of the body, as far as they come in this time; the rest is not read. Where it
    /// breaks off, what came until then.
    pub async fn beginning(mut self, within: Duration) -> Vec<u8> {
        let ends_at = self.ends_at.min(Instant::now() + within);
        let mut read = Vec::new();
        while let Ok(Some(Ok(frame))) = timeout_at(ends_at, self.body.frame()).await {
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            let room = ANSWER_MAX_BYTES.saturating_sub(read.len());
            read.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() >= room {
                break;
            }
        }
        read
    }
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<TimeDelta> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    match value.parse::<u32>() {
        Ok(seconds) => Some(TimeDelta::seconds(i64::from(seconds))),
        Err(_) => Some(DateTime::parse_from_rfc2822(value).ok()?.to_utc() - clock::now()),
    }
}

/// The last cause of the error, without the URL, which may hold credentials.
fn in_words(error: &PoolError) -> String {
    let first = std::error::Error::source(error);
    let causes = std::iter::successors(first, |error| error.source());
    let words = match causes.last() {
        // These say themselves that there is none.
        Some(cause) if error.is_connect() => cause.to_string(),
        Some(cause) => format!("the request failed: {cause}"),
        None => "the request failed".to_owned(),
    };
    words.chars().take(300).collect()
}
