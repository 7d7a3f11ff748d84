//! One HTTP request to where a user has said, behind the guard: no proxy, no redirects, bounded in time
//! and in what is read of the answer.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta};
use futures_util::StreamExt;
use reqwest::{
    Client, Method, Response,
    header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;
use url::Url;

use super::Guard;
use crate::{
    clock,
    error::{Error, Result},
};

/// How much of an answer is read.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A request to make.
#[derive(Debug, Clone)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// With what at its head; secrets may be among it.
    pub headers: Vec<(String, String)>,
    /// With what in it.
    pub body: String,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status, where there was an answer.
    pub status: Option<u16>,
    /// What it holds, as far as it was read.
    pub body: Vec<u8>,
    /// Why it is no success.
    pub error: Option<String>,
    /// How long the server wants to be left alone.
    pub retry_after: Option<TimeDelta>,
}

/// Makes requests. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    guard: Guard,
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

    /// The body as JSON.
    #[cfg(test)]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
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
    pub fn new(guard: Guard, timeout: Duration) -> Result<Self> {
        let client = Client::builder()
            .user_agent(concat!("thingshub/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .build()
            .map_err(Error::internal)?;
        Ok(Self { client, guard })
    }

    /// Makes a request; any 2xx is a success.
    pub async fn call(&self, request: Request) -> Answer {
        match self.send(request).await {
            Ok(response) => read(response).await,
            Err(error) => Answer {
                error: Some(error),
                ..Answer::default()
            },
        }
    }

    async fn send(&self, request: Request) -> Result<Response, String> {
        self.guard.check_url(&request.url)?;
        let headers = request.headers()?;
        let sent = self
            .client
            .request(request.method, request.url)
            .headers(headers)
            .body(request.body)
            .send()
            .await;
        sent.map_err(|error| in_words(&error))
    }
}

async fn read(response: Response) -> Answer {
    let status = response.status();
    let error = match status {
        status if status.is_success() => None,
        status if status.is_redirection() => {
            Some(format!("answered {status}; redirects are not followed"))
        }
        status => Some(format!("answered {status}")),
    };
    Answer {
        status: Some(status.as_u16()),
        error,
        retry_after: retry_after(&response),
        body: start_of(response).await,
    }
}

/// The first bytes of an answer's body; where it breaks off, what came until then.
async fn start_of(response: Response) -> Vec<u8> {
    let (mut read, mut body) = (Vec::new(), response.bytes_stream());
    while let Some(Ok(chunk)) = body.next().await {
        let room = ANSWER_MAX_BYTES.saturating_sub(read.len());
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if room == 0 {
            break;
        }
    }
    read
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(response: &Response) -> Option<TimeDelta> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    match value.parse::<u32>() {
        Ok(seconds) => Some(TimeDelta::seconds(i64::from(seconds))),
        Err(_) => Some(DateTime::parse_from_rfc2822(value).ok()?.to_utc() - clock::now()),
    }
}

/// The error with its last cause, without the URL, which may hold credentials.
fn in_words(error: &reqwest::Error) -> String {
    let start = match error {
        error if error.is_timeout() => "no answer in time",
        error if error.is_connect() => "no connection",
        _ => "the request failed",
    };
    let first = std::error::Error::source(error);
    let causes = std::iter::successors(first, |error| error.source());
    match causes.last() {
        Some(cause) => format!("{start}: {cause}").chars().take(300).collect(),
        None => start.to_owned(),
    }
}
