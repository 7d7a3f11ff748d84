//! HTTP: the message goes out in one request; any 2xx takes it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta};
use futures_util::StreamExt;
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{Answer, oauth2::OAuth2, webhook_signature::Signer};
use crate::{
    clock,
    delivery::payload::Message,
    error::{Error, Result},
    outgoing::Guard,
    secret::{self, Credentials},
    store::deliveries::Delivery,
};

/// The type's name.
pub const KIND: &str = "http";

/// The header with the delivery's id: the same over all attempts.
const ID_HEADER: &str = "Webhook-Id";
/// The header with the number of the attempt.
const ATTEMPT_HEADER: &str = "Webhook-Attempt";
/// How much of an answer is read, so that its connection can be used again.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// How long its body is waited for; the status has told by then what became of the delivery.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// How much of it is kept.
const ANSWER_KEPT_BYTES: usize = 1000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings that are stored in the clear.
#[derive(Deserialize)]
struct Settings {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: Option<Vec<Header>>,
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Auth {
    None,
    Basic {
        username: String,
    },
    Bearer,
    Header {
        name: String,
    },
    #[serde(rename = "oauth2_client_credentials")]
    OAuth2(super::oauth2::Settings),
}

/// An HTTP endpoint.
pub struct HttpTarget {
    url: url::Url,
    method: Method,
    headers: HeaderMap,
    oauth2: Option<OAuth2>,
    signer: Option<Signer>,
}

impl HttpTarget {
    /// Reads the settings.
    pub fn open(settings: &Value, credentials: &Credentials) -> Result<Self> {
        let settings = Settings::deserialize(settings).map_err(Error::internal)?;
        let secret = |name: &str| credentials.get(name).unwrap_or_default();
        let mut headers = HeaderMap::new();
        for Header { name, value } in settings.headers.unwrap_or_default() {
            headers.append(header_name(&name)?, value.parse().map_err(Error::internal)?);
        }
        let mut oauth2 = None;
        match settings.auth.unwrap_or(Auth::None) {
            Auth::None => {
                if let Some(value) = credentials.get(secret::AUTHORIZATION) {
                    headers.insert(AUTHORIZATION, sensitive(value)?);
                }
            }
            Auth::Basic { username } => {
                headers.insert(AUTHORIZATION, basic(&username, secret("password"))?);
            }
            Auth::Bearer => {
                let value = format!("Bearer {}", secret("token"));
                headers.insert(AUTHORIZATION, sensitive(&value)?);
            }
            Auth::Header { name } => {
                headers.insert(header_name(&name)?, sensitive(secret("header_value"))?);
            }
            Auth::OAuth2(settings) => {
                oauth2 = Some(OAuth2::open(settings, secret("client_secret"))?);
            }
        }
        let method = settings.method.unwrap_or_else(|| "POST".to_owned());
        let signer = credentials.get("signing_secret").map(Signer::new);
        Ok(Self {
            url: settings.url.parse().map_err(Error::internal)?,
            method: method.to_uppercase().parse().map_err(Error::internal)?,
            headers,
            oauth2,
            signer: signer.transpose()?,
        })
    }

    /// Sends one delivery.
    pub async fn send(
        &self,
        client: &Client,
        guard: &Guard,
        delivery: &Delivery,
        message: &Message,
    ) -> Answer {
        match self.exchange(client, guard, delivery, message).await {
            Ok(response) => answer(response).await,
            Err(error) => Answer::failed(error),
        }
    }

    async fn exchange(
        &self,
        client: &Client,
        guard: &Guard,
        delivery: &Delivery,
        message: &Message,
    ) -> Result<Response, String> {
        guard.check_url(&self.url)?;
        let Some(oauth2) = &self.oauth2 else {
            return self.request(client, delivery, message, None).await;
        };
        let token = oauth2.token(client, guard).await?;
        let response = self
            .request(client, delivery, message, Some(&token))
            .await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        // It was withdrawn before its time: one new one, and then the answer counts.
        drain(response).await;
        oauth2.forget(&token).await;
        let token = oauth2.token(client, guard).await?;
        self.request(client, delivery, message, Some(&token)).await
    }

    async fn request(
        &self,
        client: &Client,
        delivery: &Delivery,
        message: &Message,
        token: Option<&str>,
    ) -> Result<Response, String> {
        let id = delivery.id.to_string();
        let mut request = client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, &message.content_type)
            .header(ID_HEADER, &id)
            .header(ATTEMPT_HEADER, delivery.attempt)
            .body(message.body.clone());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(signer) = &self.signer {
            for (name, value) in signer.headers(&id, clock::now(), &message.body) {
                request = request.header(name, value);
            }
        }
        request.send().await.map_err(|error| in_words(&error))
    }
}

fn header_name(name: &str) -> Result<HeaderName> {
    name.parse().map_err(Error::internal)
}

/// The value of a header that never shows in logs.
fn sensitive(value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Name and password as a header (RFC 7617).
pub fn basic(username: &str, password: &str) -> Result<HeaderValue> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    sensitive(&format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    ))
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
        is_final: false,
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
    let mut start = beginning(response, ANSWER_WAIT).await;
    start.truncate(ANSWER_KEPT_BYTES);
    let text = String::from_utf8_lossy(&start).replace('\0', "");
    (!text.is_empty()).then_some(text)
}

/// The first bytes of an answer, as far as they come in this time; the rest is not read.
pub async fn beginning(response: Response, within: Duration) -> Vec<u8> {
    let end = Instant::now() + within;
    let mut read = Vec::new();
    let mut body = response.bytes_stream();
    while let Ok(Some(Ok(chunk))) = timeout_at(end, body.next()).await {
        let room = ANSWER_MAX_BYTES.saturating_sub(read.len());
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    read
}

/// The error with its causes, without the URL, which may hold credentials.
pub fn in_words(error: &reqwest::Error) -> String {
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
