//! HTTP: the message is posted as JSON; any 2xx takes it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta};
use futures_util::StreamExt;
use reqwest::{
    Client, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::Answer;
use crate::{
    clock,
    error::{Error, Result},
    outgoing::Guard,
    secret::{self, Credentials},
    store::deliveries::Delivery,
};

/// The header with the delivery's id: the same over all attempts.
pub const ID_HEADER: &str = "Webhook-Id";
/// The header with the number of the attempt.
pub const ATTEMPT_HEADER: &str = "Webhook-Attempt";
/// How much of an answer is read, so that its connection can be used again.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// How long its body is waited for; the status has told by then what became of the delivery.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// How much of it is kept.
const ANSWER_KEPT_BYTES: usize = 1000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings that are stored in the clear.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HttpSettings {
    /// Where to post.
    pub url: String,
}

/// An HTTP endpoint.
pub struct HttpTarget {
    url: url::Url,
    authorization: Option<HeaderValue>,
}

impl HttpTarget {
    /// Reads the settings.
    pub fn open(settings: &serde_json::Value, credentials: &Credentials) -> Result<Self> {
        let settings = HttpSettings::deserialize(settings).map_err(Error::internal)?;
        let authorization = credentials
            .get(secret::AUTHORIZATION)
            .map(HeaderValue::try_from)
            .transpose()
            .map_err(Error::internal)?;
        Ok(Self {
            url: settings.url.parse().map_err(Error::internal)?,
            authorization,
        })
    }

    /// Posts one delivery.
    pub async fn send(&self, client: &Client, guard: &Guard, delivery: &Delivery) -> Answer {
        if let Err(refusal) = guard.check_url(&self.url) {
            return Answer {
                error: Some(refusal),
                ..Default::default()
            };
        }
        let mut request = client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ID_HEADER, delivery.id.to_string())
            .header(ATTEMPT_HEADER, delivery.attempt)
            .body(delivery.body.clone());
        if let Some(authorization) = &self.authorization {
            let mut authorization = authorization.clone();
            authorization.set_sensitive(true);
            request = request.header(AUTHORIZATION, authorization);
        }
        match request.send().await {
            Ok(response) => answer(response).await,
            Err(error) => Answer {
                error: Some(in_words(&error)),
                ..Default::default()
            },
        }
    }
}

/// The client for all HTTP targets: no proxy, no redirects, names resolved by the guard.
pub fn client(guard: &Guard, timeout: Duration) -> Result<Client> {
    Client::builder()
        .user_agent(concat!("thingshub/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(guard.clone()))
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .pool_max_idle_per_host(16)
        .build()
        .map_err(Error::internal)
}

async fn answer(response: Response) -> Answer {
    let status = response.status();
    let retry_after = retry_after(&response);
    let text = drain(response).await;
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
        retry_after,
        text,
    }
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(response: &Response) -> Option<TimeDelta> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    match value.parse::<u32>() {
        Ok(seconds) => Some(TimeDelta::seconds(i64::from(seconds))),
        Err(_) => Some(DateTime::parse_from_rfc2822(value).ok()?.to_utc() - clock::now()),
    }
}

/// Reads the body; answers how it begins, if it is text. The status decides: a body that breaks off
/// or does not come changes nothing.
async fn drain(response: Response) -> Option<String> {
    let mut length = 0;
    let mut start = Vec::new();
    let mut body = response.bytes_stream();
    let end = Instant::now() + ANSWER_WAIT;
    while let Ok(Some(Ok(chunk))) = timeout_at(end, body.next()).await {
        length += chunk.len();
        let missing = ANSWER_KEPT_BYTES.saturating_sub(start.len());
        start.extend_from_slice(&chunk[..chunk.len().min(missing)]);
        if length > ANSWER_MAX_BYTES {
            break;
        }
    }
    let text = String::from_utf8_lossy(&start).replace('\0', "");
    (!text.is_empty()).then_some(text)
}

/// The error with its causes, without the URL, which may hold credentials.
fn in_words(error: &reqwest::Error) -> String {
    let start = match error {
        error if error.is_timeout() => "no answer in time",
        error if error.is_connect() => "no connection",
        _ => "the request failed",
    };
    let causes: Vec<String> =
        std::iter::successors(std::error::Error::source(error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    match causes.last() {
        Some(cause) => format!("{start}: {cause}").chars().take(300).collect(),
        None => start.to_owned(),
    }
}
