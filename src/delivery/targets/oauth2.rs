//! OAuth 2.0 client credentials (RFC 6749, 4.4): a token is fetched once and used until it expires.

use std::{sync::Arc, time::Duration};

use hyper::{
    HeaderMap, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use super::{
    answer::Answer,
    headers::{PAUSING_STATUSES, basic},
};
use crate::{
    error::{Error, Result},
    outgoing::{Client, Response, TlsSettings},
    secret::Redactor,
};

/// Time before its expiry from which a token is no longer used, so that it is still valid on arrival.
const MARGIN: Duration = Duration::from_secs(30);
/// Assumed lifetime of a token without `expires_in`.
const LIFE_UNKNOWN: Duration = Duration::from_secs(300);
const LIFE_MAX: Duration = Duration::from_secs(86_400);
/// Maximum time to wait for the body of a response.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Settings, which are stored unencrypted.
#[derive(Deserialize)]
pub struct Settings {
    pub token_url: String,
    client_id: String,
    scope: Option<String>,
    audience: Option<String>,
    #[serde(default)]
    client_authentication: Option<ClientAuthentication>,
    /// TLS settings for the token server; by default those of the target if both have the same origin.
    pub tls: Option<TlsSettings>,
}

/// Method of client authentication.
#[derive(Deserialize, Default, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum ClientAuthentication {
    #[default]
    Basic,
    Body,
}

/// Client of an authorization server.
pub struct OAuth2 {
    client: Client,
    token_url: url::Url,
    form: Vec<(&'static str, String)>,
    basic: Option<HeaderValue>,
    /// Current token. Locked during a fetch, so that concurrent deliveries share one.
    token: Mutex<Option<Arc<Token>>>,
}

/// A token granted by the authorization server.
pub struct Token {
    /// Access token for the receiver.
    pub text: String,
    /// Redactor that removes the token from the receiver's answers.
    pub redactor: Redactor,
    ends_at: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    /// Lifetime in seconds; some servers write it as text.
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl OAuth2 {
    /// Reads the settings. Tokens are fetched with `client`.
    pub fn open(settings: Settings, client_secret: &str, client: Client) -> Result<Self> {
        let mut form = vec![("grant_type", "client_credentials".to_owned())];
        form.extend(settings.scope.map(|scope| ("scope", scope)));
        form.extend(settings.audience.map(|audience| ("audience", audience)));
        let encode =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let basic = match settings.client_authentication.unwrap_or_default() {
            ClientAuthentication::Basic => {
                let (id, secret) = (encode(&settings.client_id), encode(client_secret));
                Some(basic(&id, &secret)?)
            }
            ClientAuthentication::Body => {
                form.push(("client_id", settings.client_id));
                form.push(("client_secret", client_secret.to_owned()));
                None
            }
        };
        Ok(Self {
            client,
            token_url: settings.token_url.parse().map_err(Error::internal)?,
            form,
            basic,
            token: Mutex::new(None),
        })
    }

    /// Returns the current token; fetches one if there is none.
    pub async fn token(&self) -> Result<Arc<Token>, Answer> {
        let mut token = self.token.lock().await;
        if let Some(token) = token
            .as_ref()
            .filter(|token| token.ends_at > Instant::now())
        {
            return Ok(token.clone());
        }
        let fetched = self.fetch().await.map_err(|answer| Answer {
            error: answer
                .error
                .map(|error| format!("no token from the authorization server: {error}")),
            ..answer
        })?;
        let fetched = Arc::new(fetched);
        *token = Some(fetched.clone());
        Ok(fetched)
    }

    /// Drops a token that was rejected, unless it was replaced already.
    pub async fn forget(&self, refused: &str) {
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|token| token.text == refused) {
            *token = None;
        }
    }

    async fn fetch(&self) -> Result<Token, Answer> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.form)
            .finish();
        let mut headers = HeaderMap::new();
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form_type);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(basic) = &self.basic {
            headers.insert(AUTHORIZATION, basic.clone());
        }
        let response = self
            .client
            .send(Method::POST, &self.token_url, headers, form)
            .await
            .map_err(Answer::failed)?;
        if !response.status.is_success() {
            return Err(refusal(response).await);
        }
        let body = response.beginning(ANSWER_WAIT).await;
        let granted: TokenAnswer = serde_json::from_slice(&body).map_err(|_| {
            Answer::failed("the response is not a JSON object with an access_token")
        })?;
        let life = granted.expires_in.as_ref().and_then(seconds);
        let life = life.unwrap_or(LIFE_UNKNOWN).min(LIFE_MAX);
        Ok(Token {
            redactor: Redactor::new([granted.access_token.as_str()]),
            text: granted.access_token,
            ends_at: Instant::now() + life.saturating_sub(MARGIN.min(life / 2)),
        })
    }
}

/// Returns the failure for a rejected token request. A `Retry-After` of the server pauses the target,
/// because nothing can be delivered without a token.
async fn refusal(response: Response) -> Answer {
    let (status, retry_after) = (response.status, response.retry_after);
    let body = response.beginning(ANSWER_WAIT).await;
    // Only the error code is passed on, if it looks like one of the standard; the rest may contain
    // anything.
    let word = serde_json::from_slice::<Refused>(&body).ok();
    let word = word.map(|refused| refused.error).filter(|word| {
        word.len() <= 60 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    });
    let error = match word {
        Some(word) => format!("answered {status} ({word})"),
        None => format!("answered {status}"),
    };
    Answer {
        retry_after,
        asks_for_pause: PAUSING_STATUSES.contains(&status.as_u16()),
        ..Answer::failed(error)
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_life_is_read_however_it_is_written() {
        let granted = |life: Value| {
            let answer = json!({"access_token": "t", "expires_in": life});
            let granted: TokenAnswer = serde_json::from_value(answer).unwrap();
            granted.expires_in.as_ref().and_then(seconds)
        };
        let hour = Some(Duration::from_secs(3600));
        for life in [json!(3600), json!("3600"), json!(3600.0)] {
            assert_eq!(granted(life), hour);
        }
        for life in [json!(null), json!("soon"), json!(-1), json!([])] {
            assert_eq!(granted(life), None);
        }
    }
}
