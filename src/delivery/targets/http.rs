//! HTTP targets: each message is sent in one request; any 2xx status counts as delivered.

use std::time::Duration;

use hyper::{
    HeaderMap, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    answer::Answer,
    headers::{PAUSING_STATUSES, basic, sensitive},
    oauth2::OAuth2,
    webhook_signature::Signer,
};
use crate::{
    clock,
    delivery::payload::Message,
    error::{Error, Result},
    outgoing::{
        Client, Response, TlsSettings,
        tls::{CLIENT_KEY, TOKEN_CLIENT_KEY},
    },
    secret::{self, Credentials},
    store::deliveries::Delivery,
    traces,
};

/// Name of the type.
pub const KIND: &str = "http";

/// Header with the delivery's id, which is the same for all attempts.
const ID_HEADER: &str = "webhook-id";
/// Header with the number of the attempt.
const ATTEMPT_HEADER: &str = "webhook-attempt";
/// Maximum time to wait for the body of a response; the status already determines the outcome.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// Settings, which are stored unencrypted.
#[derive(Deserialize)]
struct Settings {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: Option<Vec<Header>>,
    auth: Option<Auth>,
    tls: Option<TlsSettings>,
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

/// Validates the TLS settings with these credentials. The error names the field and the rule.
pub fn check(settings: &Value, credentials: &Credentials) -> Result<()> {
    let settings = Settings::deserialize(settings).map_err(Error::internal)?;
    let of_auth = match &settings.auth {
        Some(Auth::OAuth2(settings)) => settings.tls.as_ref(),
        _ => None,
    };
    for (place, tls, key) in [
        ("target.tls", settings.tls.as_ref(), CLIENT_KEY),
        ("target.auth.tls", of_auth, TOKEN_CLIENT_KEY),
    ] {
        let Some(tls) = tls else { continue };
        if let Err(broken) = tls.with(credentials.get(key)).check() {
            return Err(Error::broken(format!("{place}.{broken}")));
        }
    }
    Ok(())
}

/// Returns the client for a server, with its own TLS settings if there are any.
fn with_tls(client: &Client, tls: Option<&TlsSettings>, key: Option<&str>) -> Result<Client> {
    match tls {
        Some(tls) => client.with_tls(&tls.with(key)).map_err(Error::internal),
        None => Ok(client.clone()),
    }
}

/// An HTTP endpoint.
pub struct HttpTarget {
    client: Client,
    url: url::Url,
    method: Method,
    headers: HeaderMap,
    oauth2: Option<OAuth2>,
    signer: Option<Signer>,
}

impl HttpTarget {
    /// Reads the settings. Uses `shared` for requests, or a client with its own connections if there are
    /// TLS settings.
    pub fn open(settings: &Value, credentials: &Credentials, shared: &Client) -> Result<Self> {
        let settings = Settings::deserialize(settings).map_err(Error::internal)?;
        let url: url::Url = settings.url.parse().map_err(Error::internal)?;
        let client = with_tls(shared, settings.tls.as_ref(), credentials.get(CLIENT_KEY))?;
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
                let token_url: url::Url = settings.token_url.parse().map_err(Error::internal)?;
                let client = match &settings.tls {
                    None if token_url.origin() == url.origin() => client.clone(),
                    tls => with_tls(shared, tls.as_ref(), credentials.get(TOKEN_CLIENT_KEY))?,
                };
                oauth2 = Some(OAuth2::open(settings, secret("client_secret"), client)?);
            }
        }
        let method = settings.method.unwrap_or_else(|| "POST".to_owned());
        let signer = credentials.get("signing_secret").map(Signer::new);
        Ok(Self {
            client,
            url,
            method: method.to_uppercase().parse().map_err(Error::internal)?,
            headers,
            oauth2,
            signer: signer.transpose()?,
        })
    }

    /// Returns the secrets in the headers in the form in which they are sent, in which a password is
    /// encoded, for redaction.
    pub fn shown(&self) -> impl Iterator<Item = String> {
        let secret = self.headers.values().filter(|value| value.is_sensitive());
        secret.filter_map(|value| {
            let text = value.to_str().ok()?;
            Some(text.split_whitespace().last()?.to_owned())
        })
    }

    /// Sends one delivery.
    pub async fn send(&self, delivery: &Delivery, message: &Message) -> Answer {
        let exchanged = self.exchange(delivery, message).await;
        exchanged.unwrap_or_else(|failed| failed)
    }

    async fn exchange(&self, delivery: &Delivery, message: &Message) -> Result<Answer, Answer> {
        let Some(oauth2) = &self.oauth2 else {
            return Ok(answer(self.request(delivery, message, None).await?).await);
        };
        let mut token = oauth2.token().await?;
        let mut response = self.request(delivery, message, Some(&token.text)).await?;
        if response.status == StatusCode::UNAUTHORIZED {
            // The token was revoked early: fetch a new one and try once more.
            response.beginning(ANSWER_WAIT).await;
            oauth2.forget(&token.text).await;
            token = oauth2.token().await?;
            response = self.request(delivery, message, Some(&token.text)).await?;
        }
        let answer = answer(response).await;
        Ok(answer.without(&token.redactor))
    }

    async fn request(
        &self,
        delivery: &Delivery,
        message: &Message,
        token: Option<&str>,
    ) -> Result<Response, Answer> {
        let id = delivery.id.to_string();
        let mut headers = self.headers.clone();
        let mut add = |name: HeaderName, value: &str| {
            let value = HeaderValue::from_str(value);
            value
                .map(|value| headers.append(name.clone(), value))
                .map_err(|_| Answer::failed(format!("the header {name} cannot be sent")))
        };
        add(CONTENT_TYPE, &message.content_type)?;
        add(HeaderName::from_static(ID_HEADER), &id)?;
        let attempt = delivery.attempt.to_string();
        add(HeaderName::from_static(ATTEMPT_HEADER), &attempt)?;
        if let Some(traceparent) = traces::traceparent()
            && !self.headers.contains_key(traces::HEADER)
        {
            add(HeaderName::from_static(traces::HEADER), &traceparent)?;
        }
        if let Some(token) = token {
            add(AUTHORIZATION, &format!("Bearer {token}"))?;
        }
        if let Some(signer) = &self.signer {
            for (name, value) in signer.headers(&id, clock::now(), &message.body) {
                add(HeaderName::from_static(name), &value)?;
            }
        }
        let body = message.body.clone();
        self.client
            .send(self.method.clone(), &self.url, headers, body)
            .await
            .map_err(Answer::failed)
    }
}

fn header_name(name: &str) -> Result<HeaderName> {
    name.parse().map_err(Error::internal)
}

/// Converts a response to an answer. The status decides; an incomplete or missing body changes nothing.
async fn answer(response: Response) -> Answer {
    let (status, retry_after) = (response.status.as_u16(), response.retry_after);
    let error = response.error();
    let start = response.beginning(ANSWER_WAIT).await;
    let text = String::from_utf8_lossy(&start).replace('\0', "");
    Answer {
        status: Some(status),
        error,
        retry_after,
        asks_for_pause: PAUSING_STATUSES.contains(&status),
        text: (!text.is_empty()).then_some(text),
        is_final: false,
    }
}
