//! Single HTTP requests as values, and their outcomes.
//!
//! Each request is sent once, over a new connection: a network server that received a downlink twice would
//! send it twice.

use std::time::Duration;

use chrono::TimeDelta;
use hyper::{
    HeaderMap, Method,
    header::{HeaderName, HeaderValue},
};
use serde_json::Value;
use url::Url;

use super::{
    guard::Guard,
    http::Client,
    tls::{Broken, Tls},
};

/// A request to send.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The target.
    pub url: Url,
    /// Headers; they may contain secrets.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// The outcome of a request.
#[derive(Debug, Default)]
pub struct Answer {
    /// Status, if there was a response.
    pub status: Option<u16>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// Reason of the failure; `None` if it succeeded.
    pub error: Option<String>,
    /// Wait that the server requests by `Retry-After`.
    pub retry_after: Option<TimeDelta>,
}

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    timeout: Duration,
}

impl Request {
    /// Creates a POST request with a JSON body.
    pub fn post(url: Url, body: Value) -> Self {
        Self {
            body: body.to_string(),
            ..Self::bare_post(url)
        }
        .with("Content-Type", "application/json")
    }

    /// Creates a POST request without a body.
    pub fn bare_post(url: Url) -> Self {
        Self {
            method: Method::POST,
            url,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Creates a GET request.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            ..Self::bare_post(url)
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Returns the headers, marked as sensitive so that they do not appear in logs; the error names a header
    /// that cannot be sent.
    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let broken = || format!("the header {name} cannot be sent");
            let key = HeaderName::try_from(name).map_err(|_| broken())?;
            let mut value = HeaderValue::try_from(value).map_err(|_| broken())?;
            value.set_sensitive(true);
            headers.append(key, value);
        }
        Ok(headers)
    }
}

impl Caller {
    /// Creates a caller whose requests time out after `timeout`.
    ///
    /// # Errors
    /// Fails if the system has no certificates.
    pub fn new(guard: Guard, timeout: Duration) -> Result<Self, Broken> {
        let client = Client::for_single_requests(guard, timeout)?;
        Ok(Self { client, timeout })
    }

    /// Returns a caller for the requests of a tenant.
    #[must_use]
    pub fn of(&self, tenant: i64) -> Self {
        Self {
            client: self.client.of(tenant),
            timeout: self.timeout,
        }
    }

    /// Returns a caller with its own TLS settings.
    ///
    /// # Errors
    /// Fails with the first broken rule.
    pub fn with_tls(&self, tls: &Tls<'_>) -> Result<Self, Broken> {
        Ok(Self {
            client: self.client.with_tls(tls)?,
            timeout: self.timeout,
        })
    }

    /// Sends a request; any 2xx is a success.
    pub async fn call(&self, request: Request) -> Answer {
        match self.answer(request).await {
            Ok(answer) => answer,
            Err(error) => Answer {
                error: Some(error),
                ..Answer::default()
            },
        }
    }

    async fn answer(&self, request: Request) -> Result<Answer, String> {
        let headers = request.headers()?;
        let (method, url, body) = (request.method, request.url, request.body);
        let response = self.client.send(method, &url, headers, body).await?;
        Ok(Answer {
            status: Some(response.status.as_u16()),
            error: response.error(),
            retry_after: response.retry_after,
            body: response.beginning(self.timeout).await,
        })
    }
}
