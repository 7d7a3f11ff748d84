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

/// An HTTP endpoint. The hub sends each message in one request; any 2xx status counts as delivered. The hub does not
/// follow redirects. The header `Webhook-Id` contains the id of the delivery, which is the same in all attempts.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTarget {
    /// URL of the endpoint: an absolute `http://` or `https://` URL without username and password. An attempt fails if
    /// the host resolves to an address that is not public, unless the operator has allowed its network
    /// (`outgoing_allow`).
    url: HttpUrl,
    /// Method of the request. `post` if omitted or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<HttpMethod>,
    /// Additional headers, at most 32. Their values are not secret: every user who can read the integration sees them.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<List<HttpHeader, 0, 32>>,
    /// Authentication of the hub at the endpoint. The type `none` if omitted or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<HttpAuth>,
    /// TLS settings for the endpoint, such as a private certificate authority or a client certificate. Requires a `url`
    /// that starts with `https://`. They also apply to `auth.token_url` if `auth.tls` is omitted and both URLs have the
    /// same scheme, host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
    /// Value of the `Authorization` header, for schemes that `auth` does not support. Requires `auth` to be omitted or
    /// of the type `none`. Responses never contain it. If omitted in an update, the stored value is kept as long as
    /// scheme, host and port of `url` stay the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    authorization: Option<HeaderValue>,
    /// Secret with which the hub signs messages by the Standard Webhooks scheme: `whsec_` followed by 24 to 64 bytes in
    /// base64. Responses never contain it. If omitted in an update, the stored value is kept. `create_integration_key`
    /// generates a new one.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    signing_secret: Option<SigningSecret>,
    /// Whether the hub signs messages if there is a signing secret. With `false`, the stored secret is deleted, and
    /// `signing_secret` must be omitted. `true` if omitted or null.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    sign: Option<bool>,
}

/// Method of an HTTP request.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum HttpMethod {
    Post,
    Put,
    Patch,
}

/// A header of an HTTP request.
#[derive(Clone, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpHeader {
    /// Name of the header (a token of RFC 9110). Headers that the hub sets itself are rejected: `Host`,
    /// `Authorization`, `Content-*`, `Webhook-*` and those that control the connection.
    name: HeaderName,
    /// Value of the header: visible ASCII characters, with spaces only inside.
    value: HeaderValue,
}

/// Authentication of the hub at an HTTP endpoint.
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

/// No authentication, or only the value of `authorization`.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoAuth {}

/// HTTP Basic authentication with username and password (RFC 7617).
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BasicAuth {
    /// Username, without control characters.
    username: CredentialText,
    /// Password, without control characters. Required for a new integration. Responses never contain it. If omitted in
    /// an update, the stored value is kept as long as scheme, host and port of `url` stay the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    password: Option<CredentialText>,
}

/// Bearer authentication with a static token (RFC 6750).
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BearerAuth {
    /// Token: visible ASCII characters, with spaces only inside. Required for a new integration. Responses never
    /// contain it. If omitted in an update, the stored value is kept as long as scheme, host and port of `url` stay the
    /// same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    token: Option<HeaderValue>,
}

/// Authentication with a secret in a header of its own.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderAuth {
    /// Name of the header.
    name: HeaderName,
    /// Value of the header: visible ASCII characters, with spaces only inside. Required for a new integration.
    /// Responses never contain it. If omitted in an update, the stored value is kept as long as scheme, host and port
    /// of `url` stay the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    value: Option<HeaderValue>,
}

/// OAuth 2.0 client credentials grant (RFC 6749). The hub requests a token, uses it until shortly before it expires,
/// and requests another one if the endpoint answers with 401.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OAuth2Auth {
    /// URL of the token endpoint: an absolute `http://` or `https://` URL without username and password.
    token_url: HttpUrl,
    /// Client identifier, without control characters.
    client_id: CredentialText,
    /// Client secret, without control characters. Required for a new integration. Responses never contain it. If
    /// omitted in an update, the stored value is kept as long as scheme, host and port of `token_url` and `url` stay
    /// the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    client_secret: Option<CredentialText>,
    /// Requested scopes: visible ASCII characters, separated by spaces. If omitted or null, the hub requests no scope.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ProtocolText>,
    /// Requested audience: visible ASCII characters, with spaces only inside. If omitted or null, the hub requests no
    /// audience.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<ProtocolText>,
    /// Method of client authentication. `basic` if omitted or null.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_authentication: Option<ClientAuthentication>,
    /// TLS settings for the token endpoint. Requires a `token_url` that starts with `https://`. If omitted or null, the
    /// target's `tls` applies if `token_url` and `url` have the same scheme, host and port; otherwise the hub trusts
    /// the certificate authorities of its system.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

/// Method of OAuth 2.0 client authentication.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum ClientAuthentication {
    /// Client identifier and secret in the header `Authorization` (HTTP Basic).
    Basic,
    /// Client identifier and secret in the form.
    Body,
}

/// An HTTP endpoint.
#[derive(Object, Serialize, Deserialize)]
pub struct HttpTargetView {
    /// URL of the endpoint.
    url: String,
    /// Method of the request.
    #[serde(default = "post")]
    method: HttpMethod,
    /// Additional headers.
    #[serde(default)]
    headers: Vec<HttpHeader>,
    /// Authentication of the hub at the endpoint, without the secret.
    #[serde(default = "no_auth")]
    auth: HttpAuthView,
    /// TLS settings for the endpoint. If null, the hub trusts the certificate authorities of its system and presents no
    /// client certificate.
    tls: Option<ServerTlsView>,
    /// Whether a value for the `Authorization` header is stored.
    #[serde(default)]
    has_authorization: bool,
    /// Whether a signing secret is stored, with which the hub signs messages.
    #[serde(default)]
    has_signing_secret: bool,
}

/// Authentication of the hub at an HTTP endpoint, without the secret.
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

/// No authentication, or only the value of `authorization`.
#[derive(Object, Serialize, Deserialize)]
struct NoAuthView {}

/// HTTP Basic authentication with username and password (RFC 7617).
#[derive(Object, Serialize, Deserialize)]
struct BasicAuthView {
    /// Username.
    username: String,
}

/// Bearer authentication with a static token (RFC 6750).
#[derive(Object, Serialize, Deserialize)]
struct BearerAuthView {}

/// Authentication with a secret in a header of its own.
#[derive(Object, Serialize, Deserialize)]
struct HeaderAuthView {
    /// Name of the header.
    name: String,
}

/// OAuth 2.0 client credentials grant (RFC 6749).
#[derive(Object, Serialize, Deserialize)]
struct OAuth2AuthView {
    /// URL of the token endpoint.
    token_url: String,
    /// Client identifier.
    client_id: String,
    /// Requested scopes, separated by spaces; null if the hub requests none.
    scope: Option<String>,
    /// Requested audience; null if the hub requests none.
    audience: Option<String>,
    /// Method of client authentication.
    #[serde(default = "basic")]
    client_authentication: ClientAuthentication,
    /// TLS settings for the token endpoint. If null, the target's `tls` applies if `token_url` and `url` have the same
    /// scheme, host and port; otherwise the hub trusts the certificate authorities of its system.
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
                "cannot be combined with target.auth",
            ));
        }
        if self.sign == Some(false) && self.signing_secret.is_some() {
            return Some(BrokenRule::new(
                "target.signing_secret",
                "cannot be combined with target.sign=false",
            ));
        }
        if self.tls.is_some() && !self.url.starts_with("https://") {
            return Some(BrokenRule::new(
                "target.tls",
                "requires a target.url that starts with https://",
            ));
        }
        match &self.auth {
            Some(HttpAuth::OAuth2(auth))
                if auth.tls.is_some() && !auth.token_url.starts_with("https://") =>
            {
                let rule = "requires a target.auth.token_url that starts with https://";
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
