//! An HTTP client for URLs that users configure, behind the guard: no proxy, no redirects, limited in time
//! and in the size of the response.
//!
//! It only uses HTTP/1.1, where every unrequested byte of a server can be counted
//! ([`super::counted::Counted`]).

use std::{sync::Arc, time::Duration};

use base::clock::{self, Time};
use bytes::Bytes;
use chrono::TimeDelta;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    body::Incoming,
    header::{CONNECTION, HeaderValue, USER_AGENT},
    http::Extensions,
};
use hyper_util::{
    client::legacy::{Client as Pool, Error as PoolError, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::ClientConfig;
use url::Url;

use super::{
    connector::Connector,
    guard::Guard,
    retry_after,
    tls::{Broken, Tls},
    traffic::{Traffic, tls_refusal},
};

/// Maximum number of bytes read of a response so that its connection can be reused.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// Maximum size of a response's head.
const HEAD_MAX_BYTES: usize = 128 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_PER_HOST: usize = 16;
const LIFE: Life = Life {
    idle: Duration::from_secs(4),
    total: Duration::from_secs(60),
};

/// Lifetime of connections that are kept.
#[derive(Clone, Copy)]
struct Life {
    /// Maximum time without a request: less than the at least 5 seconds for which servers usually keep a
    /// connection, so that they seldom close it just as the next request is sent.
    idle: Duration,
    /// Maximum time after which a changed address of the name is used.
    total: Duration,
}

type Connections = Pool<Connector, Full<Bytes>>;

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    /// Client that keeps connections for the next request; `None` if they are not kept.
    kept: Option<Connections>,
    /// Client that uses each connection for one request.
    fresh: Connections,
    guard: Guard,
    tls: Arc<ClientConfig>,
    timeout: Duration,
    life: Life,
    /// Expiry of the hub's client certificate.
    identity_expires_at: Option<Time>,
}

/// The head of a response; its body can be read.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Wait that the server requests, at most [`retry_after::RETRY_AFTER_MAX`].
    pub retry_after: Option<TimeDelta>,
    /// Headers of the response.
    pub headers: HeaderMap,
    body: Incoming,
    /// Deadline of the request.
    ends_at: Instant,
}

impl Client {
    /// Creates a client whose requests time out after `timeout`, and which keeps connections for the next
    /// request. A request whose kept connection was closed is sent once more at once: it may arrive twice.
    ///
    /// # Errors
    /// Fails if the system has no certificates.
    pub fn new(guard: Guard, timeout: Duration) -> Result<Self, Broken> {
        let client = Self::for_single_requests(guard, timeout)?;
        Ok(client.keeping())
    }

    /// Creates a client that uses a new connection for each request and never repeats one: for requests that
    /// must not arrive twice.
    ///
    /// # Errors
    /// Fails if the system has no certificates.
    pub fn for_single_requests(guard: Guard, timeout: Duration) -> Result<Self, Broken> {
        let tls = Tls::default().config()?;
        Ok(Self::over(guard, Arc::new(tls), timeout))
    }

    /// Returns a client for the requests of a tenant, which share no connection with those of others.
    #[must_use]
    pub fn of(&self, tenant: i64) -> Self {
        let client = Self {
            identity_expires_at: self.identity_expires_at,
            ..Self::over(self.guard.of(tenant), self.tls.clone(), self.timeout)
        };
        match self.kept {
            Some(_) => client.keeping(),
            None => client,
        }
    }

    /// Returns a client with its own TLS settings. The two share no connection, because those of this one
    /// may be authenticated by a client certificate.
    ///
    /// # Errors
    /// Fails with the first broken rule.
    pub fn with_tls(&self, tls: &Tls<'_>) -> Result<Self, Broken> {
        let config = Arc::new(tls.config_beside(&self.tls)?);
        let client = Self {
            identity_expires_at: tls.client_certificate_expires_at(),
            ..Self::over(self.guard.clone(), config, self.timeout)
        };
        Ok(match self.kept {
            Some(_) => client.keeping(),
            None => client,
        })
    }

    fn over(guard: Guard, tls: Arc<ClientConfig>, timeout: Duration) -> Self {
        Self {
            kept: None,
            fresh: connections(&guard, &tls, timeout, LIFE.idle, 0),
            guard,
            tls,
            timeout,
            life: LIFE,
            identity_expires_at: None,
        }
    }

    fn keeping(self) -> Self {
        let (timeout, idle) = (self.timeout, self.life.idle);
        let kept = connections(&self.guard, &self.tls, timeout, idle, IDLE_PER_HOST);
        Self {
            kept: Some(kept),
            ..self
        }
    }

    /// Sends a request and waits for the head of the response.
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
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let agent = HeaderValue::from_static(concat!("thingshub/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(USER_AGENT).or_insert(agent);
        let answer = timeout_at(ends_at, self.answer(request)).await;
        let (head, body) = answer
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|error| self.explain(in_words(&error)))?
            .into_parts();
        Ok(Response {
            status: head.status,
            retry_after: retry_after::read(&head.headers, clock::now()),
            headers: head.headers,
            body,
            ends_at,
        })
    }

    /// Sends over a kept connection, and once more over a new one if the server has closed it.
    async fn answer(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<hyper::Response<Incoming>, PoolError> {
        let Some(kept) = &self.kept else {
            return self.fresh.request(request).await;
        };
        let mut first = request.clone();
        let connection = capture_connection(&mut first);
        match kept.request(first).await {
            Ok(answer) if is_late_close(&answer) => {}
            Err(error) if is_unanswered(&error) => {}
            Err(error) => return Err(error),
            Ok(answer) => {
                let traffic = answer.extensions().get::<Traffic>();
                if traffic.is_some_and(|traffic| traffic.age() >= self.life.total)
                    && let Some(connected) = connection.connection_metadata().as_ref()
                {
                    connected.poison();
                }
                return Ok(answer);
            }
        }
        tracing::debug!("a kept connection was closed as the next request went out");
        self.fresh.request(request).await
    }

    /// Describes an error, including a known cause on this side such as an expired certificate.
    fn explain(&self, error: String) -> String {
        match self.identity_expires_at {
            Some(end) if end <= clock::now() => {
                format!("{error} (the client certificate has expired at {end})")
            }
            _ => error,
        }
    }
}

fn connections(
    guard: &Guard,
    tls: &Arc<ClientConfig>,
    timeout: Duration,
    idle: Duration,
    most_idle: usize,
) -> Connections {
    let connector = Connector::new(guard.clone(), tls.clone(), CONNECT_TIMEOUT.min(timeout));
    Pool::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle)
        .pool_max_idle_per_host(most_idle)
        .http1_max_buf_size(HEAD_MAX_BYTES)
        .build(connector)
}

/// Returns true if the server had closed a kept connection before it sent anything in response to this
/// request.
fn is_unanswered(error: &PoolError) -> bool {
    traffic(error).is_some_and(|traffic| traffic.is_unanswered())
}

/// Returns the traffic record of the connection on which a request failed.
fn traffic(error: &PoolError) -> Option<Traffic> {
    let mut extras = Extensions::new();
    error.connect_info()?.get_extras(&mut extras);
    extras.remove()
}

/// Returns true if this is not a response to the request, but a message that some servers send when they
/// close a connection that was idle for too long (RFC 9110, 15.5.9).
fn is_late_close(answer: &hyper::Response<Incoming>) -> bool {
    let is_close = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    answer.status() == StatusCode::REQUEST_TIMEOUT
        && answer.headers().get(CONNECTION).is_some_and(is_close)
        && answer.extensions().get().is_some_and(Traffic::is_reused)
}

impl Response {
    /// Returns the reason why the status is not a success; any 2xx is one.
    pub fn error(&self) -> Option<String> {
        match self.status {
            status if status.is_success() => None,
            status if status.is_redirection() => {
                Some(format!("answered {status}; redirects are not followed"))
            }
            status => Some(format!("answered {status}")),
        }
    }

    /// Returns the first bytes of the body that arrive in this time; the rest is not read. If the connection
    /// breaks, returns the bytes until then.
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

/// Returns the last cause of the error, without the URL, which may contain credentials.
fn in_words(error: &PoolError) -> String {
    let first = std::error::Error::source(error);
    let cause = std::iter::successors(first, |error| error.source()).last();
    let refusal = || {
        let reported = cause.and_then(|cause| tls_refusal(cause.downcast_ref()?));
        reported.or_else(|| traffic(error)?.refusal().map(str::to_owned))
    };
    let words = match cause {
        // These say themselves that there is none.
        Some(cause) if error.is_connect() => cause.to_string(),
        Some(cause) => refusal().unwrap_or_else(|| format!("the request failed: {cause}")),
        None => "the request failed".to_owned(),
    };
    words.chars().take(300).collect()
}

#[cfg(test)]
mod tests;
