//! One HTTP request as a value, and what came of it.
//!
//! It is made once, over a connection of its own: a network server that gets a downlink twice sends it
//! twice.

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

/// A request to make.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The target.
    pub url: Url,
    /// Headers; secrets may be among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// The outcome of a request.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status, where there was an answer.
    pub status: Option<u16>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// Why it is no success.
    pub error: Option<String>,
    /// The wait that the server asks for.
    pub retry_after: Option<TimeDelta>,
}

/// Makes requests. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    timeout: Duration,
}

impl Request {
    /// A POST of JSON.
    pub fn post(url: Url, body: Value) -> Self {
        Self {
            body: body.to_string(),
            ..Self::bare_post(url)
        }
        .with("Content-Type", "application/json")
    }

    /// A POST of nothing.
    pub fn bare_post(url: Url) -> Self {
        Self {
            method: Method::POST,
            url,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A GET.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            ..Self::bare_post(url)
        }
    }

    /// The same with a header more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The headers, none of which shows in logs; the error names the one that cannot be sent.
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
    /// Requests end after `timeout`.
    ///
    /// # Errors
    /// The system has no certificates.
    pub fn new(guard: Guard, timeout: Duration) -> Result<Self, Broken> {
        let client = Client::for_single_requests(guard, timeout)?;
        Ok(Self { client, timeout })
    }

    /// The same for the requests of a tenant.
    #[must_use]
    pub fn of(&self, tenant: i64) -> Self {
        Self {
            client: self.client.of(tenant),
            timeout: self.timeout,
        }
    }

    /// The same with TLS of its own.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn with_tls(&self, tls: &Tls<'_>) -> Result<Self, Broken> {
        Ok(Self {
            client: self.client.with_tls(tls)?,
            timeout: self.timeout,
        })
    }

    /// Makes a request; any 2xx is a success.
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
