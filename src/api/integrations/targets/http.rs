//! Target type `http`.

use poem_openapi::{Enum, Object, Union};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::target_type::{BrokenRule, TargetType, read};
use crate::{
    api::http::{
        server_tls::{ServerTls, ServerTlsView},
        types::List,
        union,
    },
    error::Result,
    outgoing::tls::{CLIENT_KEY, TOKEN_CLIENT_KEY},
    secret::{
        AUTHORIZATION, Claim, NOWHERE, SealedCredentials,
        addresses::{RECEIVER, TOKEN_SERVER},
    },
    text::{CredentialText, HeaderName, HeaderValue, HttpUrl, ProtocolText, SigningSecret, Text},
};

/// An HTTP endpoint: each message is sent to it in one request; any 2xx takes it. Redirects are not
/// followed. The header `Webhook-Id` names the delivery and stays the same over its attempts.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTarget {
    /// Where to send; private addresses are refused unless the operator has allowed them
    url: HttpUrl,
    /// The method; `post` by default
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<HttpMethod>,
    /// Headers of one's own, with values that everybody may see who may see the integration
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<List<HttpHeader, 0, 32>>,
    /// How the hub shows who it is; `none` by default
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<HttpAuth>,
    /// TLS with the endpoint, such as a private authority or a client certificate. It counts for
    /// `auth.token_url` too where scheme, host and port are the same and `auth.tls` is left out
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
    /// Value of the `Authorization` header, where `auth` has no form for it and is `none`; never shown
    /// again. Left out of an update, the old one stays while
    /// the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    authorization: Option<HeaderValue>,
    /// Secret to sign with by the Standard Webhooks scheme: `whsec_` and 24 to 64 bytes in base64; never
    /// shown again. Left out of an update, the old one stays; `create_integration_key` makes a new one
    #[oai(write_only)]
    #[serde(skip_serializing)]
    signing_secret: Option<SigningSecret>,
    /// Whether to sign where there is a secret; with `false` it is forgotten. `true` by default
    #[oai(write_only)]
    #[serde(skip_serializing)]
    sign: Option<bool>,
}

/// A method that a message may go out by
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum HttpMethod {
    Post,
    Put,
    Patch,
}

/// A header of one's own
#[derive(Clone, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpHeader {
    /// Its name; those that the hub itself sets are refused
    name: HeaderName,
    /// Its value
    value: HeaderValue,
}

/// How the hub shows who it is
#[derive(Union, Serialize)]
#[oai(discriminator_name = "type", one_of = true)]
#[serde(tag = "type", rename_all = "snake_case")]
enum HttpAuth {
    #[oai(mapping = "none")]
    None(NoAuth),
    #[oai(mapping = "basic")]
    Basic(BasicAuth),
    #[oai(mapping = "bearer")]
    Bearer(BearerAuth),
    #[oai(mapping = "header")]
    Header(HeaderAuth),
    #[oai(mapping = "oauth2_client_credentials")]
    #[serde(rename = "oauth2_client_credentials")]
    OAuth2(OAuth2Auth),
}

/// Not at all, or by `authorization`
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoAuth {}

/// User name and password (RFC 7617)
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BasicAuth {
    /// User name
    username: CredentialText,
    /// Password; never shown again. Left out of an update, the old one stays while
    /// the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    password: Option<CredentialText>,
}

/// A token that does not change
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BearerAuth {
    /// The token; never shown again. Left out of an update, the old one stays while
    /// the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    token: Option<HeaderValue>,
}

/// A secret in a header of its own
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderAuth {
    /// The header's name
    name: HeaderName,
    /// Its value; never shown again. Left out of an update, the old one stays while
    /// the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    value: Option<HeaderValue>,
}

/// OAuth 2.0 client credentials (RFC 6749): the hub fetches a token, uses it until it ends, and
/// fetches another one when it is refused with 401
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OAuth2Auth {
    /// Where tokens are given
    token_url: HttpUrl,
    /// The client's id
    client_id: CredentialText,
    /// The client's secret; never shown again. Left out of an update, the old one stays while
    /// the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    client_secret: Option<CredentialText>,
    /// The scopes to ask for, with spaces between
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ProtocolText>,
    /// The audience to ask for, where the server wants one
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<ProtocolText>,
    /// How the client shows who it is; `basic` by default
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_authentication: Option<ClientAuthentication>,
    /// TLS with the server that gives tokens; left out, that of the target where scheme, host and port of
    /// `token_url` and `url` are the same, and else the authorities of the hub's system
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

/// How an OAuth 2.0 client shows who it is
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum ClientAuthentication {
    /// In the header `Authorization`
    Basic,
    /// In the form
    Body,
}

/// An HTTP endpoint
#[derive(Object, Serialize, Deserialize)]
pub struct HttpTargetView {
    /// Where it sends to
    url: String,
    /// By which method
    #[serde(default = "post")]
    method: HttpMethod,
    /// Headers of one's own
    #[serde(default)]
    headers: Vec<HttpHeader>,
    /// How the hub shows who it is, without the secret
    #[serde(default = "no_auth")]
    auth: HttpAuthView,
    /// TLS with the endpoint; null: with the authorities of the hub's system, and no client certificate
    tls: Option<ServerTlsView>,
    /// Whether it sends an `Authorization` header of one's own
    #[serde(default)]
    has_authorization: bool,
    /// Whether it signs by the Standard Webhooks scheme
    #[serde(default)]
    has_signing_secret: bool,
}

/// How the hub shows who it is, without the secret
#[derive(Union, Serialize, Deserialize)]
#[oai(discriminator_name = "type", one_of = true)]
#[serde(tag = "type", rename_all = "snake_case")]
enum HttpAuthView {
    #[oai(mapping = "none")]
    None(NoAuthView),
    #[oai(mapping = "basic")]
    Basic(BasicAuthView),
    #[oai(mapping = "bearer")]
    Bearer(BearerAuthView),
    #[oai(mapping = "header")]
    Header(HeaderAuthView),
    #[oai(mapping = "oauth2_client_credentials")]
    #[serde(rename = "oauth2_client_credentials")]
    OAuth2(OAuth2AuthView),
}

/// Not at all, or by `authorization`
#[derive(Object, Serialize, Deserialize)]
struct NoAuthView {}

/// User name and password
#[derive(Object, Serialize, Deserialize)]
struct BasicAuthView {
    /// User name
    username: String,
}

/// A token that does not change
#[derive(Object, Serialize, Deserialize)]
struct BearerAuthView {}

/// A secret in a header of its own
#[derive(Object, Serialize, Deserialize)]
struct HeaderAuthView {
    /// The header's name
    name: String,
}

/// OAuth 2.0 client credentials
#[derive(Object, Serialize, Deserialize)]
struct OAuth2AuthView {
    /// Where tokens are given
    token_url: String,
    /// The client's id
    client_id: String,
    /// The scopes that are asked for
    scope: Option<String>,
    /// The audience that is asked for
    audience: Option<String>,
    /// How the client shows who it is
    #[serde(default = "basic")]
    client_authentication: ClientAuthentication,
    /// TLS with the server that gives tokens; null: that of the target where it is the same server, and
    /// else with the authorities of the hub's system
    tls: Option<ServerTlsView>,
}

impl<'de> Deserialize<'de> for HttpAuth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tags = [
            "none",
            "basic",
            "bearer",
            "header",
            "oauth2_client_credentials",
        ];
        union::read(deserializer, &tags, |tag, members| match tag {
            "none" => Some(members.read().map(Self::None)),
            "basic" => Some(members.read().map(Self::Basic)),
            "bearer" => Some(members.read().map(Self::Bearer)),
            "header" => Some(members.read().map(Self::Header)),
            "oauth2_client_credentials" => Some(members.read().map(Self::OAuth2)),
            _ => None,
        })
    }
}

impl TargetType for HttpTarget {
    const KIND: &'static str = "http";

    fn take_claims(&mut self) -> Vec<Claim> {
        let mut claims = match &mut self.auth {
            None | Some(HttpAuth::None(_)) => {
                let authorization = self.authorization.take();
                vec![Claim::optional(
                    AUTHORIZATION,
                    "target.authorization",
                    authorization.map(Text::into_string),
                    RECEIVER,
                )]
            }
            Some(auth) => auth.take_claims(),
        };
        let tls = self.tls.as_mut();
        claims.extend(tls.and_then(|tls| tls.take_claim(CLIENT_KEY, "target.tls", RECEIVER)));
        if self.sign != Some(false) {
            let secret = self.signing_secret.take().map(Text::into_string);
            claims.push(Claim::optional(
                "signing_secret",
                "target.signing_secret",
                secret,
                NOWHERE,
            ));
        }
        claims
    }

    fn broken_rule(&self) -> Option<BrokenRule> {
        let is_shown_by_auth = !matches!(self.auth, None | Some(HttpAuth::None(_)));
        if is_shown_by_auth && self.authorization.is_some() {
            return Some(BrokenRule::new(
                "target.authorization",
                "must not stand beside target.auth",
            ));
        }
        if self.sign == Some(false) && self.signing_secret.is_some() {
            return Some(BrokenRule::new(
                "target.signing_secret",
                "must not be there when target.sign is false",
            ));
        }
        if self.tls.is_some() && !self.url.starts_with("https://") {
            return Some(BrokenRule::new(
                "target.tls",
                "needs a url that starts with https://",
            ));
        }
        match &self.auth {
            Some(HttpAuth::OAuth2(auth))
                if auth.tls.is_some() && !auth.token_url.starts_with("https://") =>
            {
                let rule = "needs a token_url that starts with https://";
                Some(BrokenRule::new("target.auth.tls", rule))
            }
            _ => None,
        }
    }
}

impl HttpAuth {
    /// Takes out the secrets of the authentication and of its TLS settings.
    fn take_claims(&mut self) -> Vec<Claim> {
        let mut claims = vec![self.take_claim()];
        if let Self::OAuth2(auth) = self {
            let tls = auth.tls.as_mut();
            claims.extend(
                tls.and_then(|tls| {
                    tls.take_claim(TOKEN_CLIENT_KEY, "target.auth.tls", TOKEN_SERVER)
                }),
            );
        }
        claims
    }

    /// Takes out the secret with which the hub authenticates.
    fn take_claim(&mut self) -> Claim {
        let text = |secret: &mut Option<CredentialText>| secret.take().map(Text::into_string);
        let value = |secret: &mut Option<HeaderValue>| secret.take().map(Text::into_string);
        match self {
            Self::None(_) => Claim::optional(AUTHORIZATION, "target.authorization", None, RECEIVER),
            Self::Basic(auth) => Claim::required(
                "password",
                "target.auth.password",
                text(&mut auth.password),
                RECEIVER,
            ),
            Self::Bearer(auth) => Claim::required(
                "token",
                "target.auth.token",
                value(&mut auth.token),
                RECEIVER,
            ),
            Self::Header(auth) => Claim::required(
                "header_value",
                "target.auth.value",
                value(&mut auth.value),
                RECEIVER,
            ),
            Self::OAuth2(auth) => Claim::required(
                "client_secret",
                "target.auth.client_secret",
                text(&mut auth.client_secret),
                TOKEN_SERVER,
            ),
        }
    }
}

impl HttpTargetView {
    pub fn new(settings: Value, secrets: &SealedCredentials) -> Result<Self> {
        let mut view: Self = read(settings)?;
        if let HttpAuthView::OAuth2(auth) = &mut view.auth {
            let tls = auth.tls.take();
            auth.tls = tls.map(|tls| tls.with(secrets, TOKEN_CLIENT_KEY));
        }
        Ok(Self {
            has_authorization: secrets.has(AUTHORIZATION),
            has_signing_secret: secrets.has("signing_secret"),
            tls: view.tls.map(|tls| tls.with(secrets, CLIENT_KEY)),
            ..view
        })
    }
}

fn post() -> HttpMethod {
    HttpMethod::Post
}

fn no_auth() -> HttpAuthView {
    HttpAuthView::None(NoAuthView {})
}

fn basic() -> ClientAuthentication {
    ClientAuthentication::Basic
}
