//! Logging in and out, and the ways to show who one is.

use std::sync::Arc;

use poem::{Request, Result, http::header};
use poem_openapi::{
    Object, OpenApi, SecurityScheme,
    auth::{ApiKey, Bearer},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        Tag,
        http::{
            answer::Found,
            body::Body,
            client::Client,
            edge,
            operation::Operation,
            types::{Id, Timestamp},
        },
    },
    error::Error,
    hub::{self, Hub, Identity},
    store::{Call, Scope, access::users::User},
    text::{Password, Username},
};

/// The ingest key's name as a scheme and as a query parameter.
pub const INGEST_KEY_PARAMETER: &str = "ingest_key";

/// The name of an integration's own key as a scheme and as a query parameter.
pub const STREAM_KEY_PARAMETER: &str = "stream_key";

/// A session's token, from `POST /api/v3/auth/token`, or an API key
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "token", checker = "admitted")]
pub struct Caller(pub Authenticated);

/// Who calls, with the token that says so.
#[derive(Clone)]
pub struct Authenticated {
    /// Who calls.
    pub caller: Arc<hub::Caller>,
    /// The token itself, to end its session.
    pub token: String,
}

/// Lets a request in if its token is valid and its owner may run the operation.
pub async fn admit(request: &mut Request, operation: &Operation) -> Result<(), Error> {
    let hub: &Hub = request
        .data()
        .ok_or_else(|| Error::internal("the hub is not among the request's data"))?;
    let token = bearer(request).ok_or(Error::Unauthenticated)?.to_owned();
    let caller = hub.authenticate(&token).await?;
    hub::access::permission::check(&caller, operation.id)?;
    operation.check_query(request)?;
    let caller = Arc::new(caller.in_call(Call {
        operation: operation.id,
        user: None,
        api_key: None,
        name: String::new(),
        address: Some(Client::of(request)?.0),
        request_id: edge::id_of(request).to_owned(),
        revisions: revisions(request)?,
    }));
    request
        .extensions_mut()
        .insert(Authenticated { caller, token });
    Ok(())
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header(header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The revisions that `If-Match` names; `None` where it names none or any.
fn revisions(request: &Request) -> Result<Option<Vec<i64>>, Error> {
    const RULE: &str = "must be an ETag that this resource has answered, such as \"7\", or *";
    let broken = || Error::field("header If-Match", RULE);
    let Some(value) = request.headers().get(header::IF_MATCH) else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| broken())?.trim();
    if value == "*" {
        return Ok(None);
    }
    // Clients that forget the quotes mean the same.
    let tag = |tag: &str| tag.trim().trim_matches('"').parse().ok();
    let tags: Option<Vec<i64>> = value.split(',').map(tag).collect();
    tags.map(Some).ok_or_else(broken)
}

async fn admitted(request: &Request, _: Bearer) -> Result<Authenticated> {
    let admitted: Option<&Authenticated> = request.extensions().get();
    Ok(admitted.cloned().ok_or(Error::Unauthenticated)?)
}

impl Caller {
    /// The caller's tenant, on behalf of this call.
    pub fn scope(&self) -> &Scope {
        &self.0.caller.scope
    }

    /// The user who calls. The table of permissions keeps keys away from where this is asked.
    pub fn user(&self) -> Result<&User, Error> {
        match &self.0.caller.identity {
            Identity::User { user, .. } => Ok(user),
            Identity::Key(_) => Err(Error::Forbidden("an API key may not do this".to_owned())),
        }
    }
}

/// The ingest key of a network connection, as a bearer token
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "ingest_bearer")]
pub struct IngestBearer(Bearer);

/// The ingest key of a network connection, in a header of its own
#[derive(SecurityScheme)]
#[oai(
    ty = "api_key",
    key_name = "X-Ingest-Key",
    key_in = "header",
    rename = "ingest_header"
)]
pub struct IngestHeader(ApiKey);

/// The ingest key of a network connection, in the URL, for network servers that can send nothing else
#[derive(SecurityScheme)]
#[oai(
    ty = "api_key",
    key_name = "ingest_key",
    key_in = "query",
    rename = "ingest_key"
)]
pub struct IngestQuery(ApiKey);

/// Any of the three.
#[derive(SecurityScheme)]
pub enum IngestKey {
    Bearer(IngestBearer),
    Header(IngestHeader),
    Query(IngestQuery),
}

impl IngestKey {
    /// The key itself.
    pub fn as_str(&self) -> &str {
        match self {
            IngestKey::Bearer(IngestBearer(bearer)) => &bearer.token,
            IngestKey::Header(IngestHeader(key)) | IngestKey::Query(IngestQuery(key)) => &key.key,
        }
    }
}

/// The key of an integration that is followed, in the URL, because browsers cannot set a header
#[derive(SecurityScheme)]
#[oai(
    ty = "api_key",
    key_name = "stream_key",
    key_in = "query",
    rename = "stream_key"
)]
pub struct StreamKey(pub ApiKey);

/// Who wants to follow an integration.
#[derive(SecurityScheme)]
pub enum Follower {
    Caller(Caller),
    Key(StreamKey),
}

/// Name and password
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// Login name; its case does not matter
    username: Username,
    /// Password
    password: Password,
}

/// A fresh session
#[derive(Object, Serialize)]
struct Token {
    /// Who logged in
    #[oai(rename = "User")]
    #[serde(rename = "User")]
    user: UserView,
    /// When the session ends
    expires: Timestamp,
    /// Send it as `Authorization: Bearer <token>`: 32 random bytes in padded base64url
    token: String,
}

/// A live session
#[derive(Object, Serialize)]
struct Session {
    /// Whose session it is
    #[oai(rename = "User")]
    #[serde(rename = "User")]
    user: UserView,
    /// When it ends
    expires: Timestamp,
}

/// A user
#[derive(Object, Serialize)]
#[oai(rename = "User")]
struct UserView {
    /// Its id
    id: Id,
    /// Login name
    username: String,
    /// The person's name
    full_name: String,
    /// The person's address
    email: String,
    /// The person's country
    country: String,
    /// Always empty
    password: String,
    /// When it was made
    created_at: Timestamp,
    /// When it was last changed
    updated_at: Timestamp,
    /// When it last logged in
    last_login_at: Option<Timestamp>,
}

/// `auth/token`.
pub struct AuthApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Auth")]
impl AuthApi {
    /// Log in
    ///
    /// Opens a session and answers its token. A wrong name or password is a 400 with the error
    /// `invalid credentials`, in the same time whether or not the user exists; too many of them from one
    /// address are put off with a 503.
    #[oai(path = "/auth/token", method = "post", operation_id = "create_token")]
    async fn create_token(&self, client: Client, body: Body<Credentials>) -> Result<Found<Token>> {
        let Body(Credentials { username, password }) = body;
        let login = self.hub.log_in(&username, &password, client.0).await?;
        Ok(Found(Token {
            user: login.user.into(),
            expires: Timestamp(login.expires_at),
            token: login.token,
        }))
    }

    /// Tell who is logged in
    ///
    /// Answers the user behind the token, and when the session ends.
    #[oai(path = "/auth/token", method = "get", operation_id = "get_token")]
    async fn get_token(&self, caller: Caller) -> Result<Found<Session>> {
        Ok(Found(session(&caller)?))
    }

    /// Log out
    ///
    /// Ends the session: its token is dead on the next request. Answers the session that was ended.
    #[oai(path = "/auth/token", method = "delete", operation_id = "delete_token")]
    async fn delete_token(&self, caller: Caller) -> Result<Found<Session>> {
        self.hub.log_out(caller.scope(), &caller.0.token).await?;
        Ok(Found(session(&caller)?))
    }
}

fn session(caller: &Caller) -> Result<Session, Error> {
    match &caller.0.caller.identity {
        Identity::User { user, expires_at } => Ok(Session {
            user: user.clone().into(),
            expires: Timestamp(*expires_at),
        }),
        Identity::Key(_) => Err(Error::Forbidden("an API key has no session".to_owned())),
    }
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: Id::saturating(user.id.0),
            username: user.username,
            full_name: user.profile.person.full_name,
            email: user.profile.person.email,
            country: user.profile.person.country,
            password: String::new(),
            created_at: Timestamp(user.created_at),
            updated_at: Timestamp(user.updated_at),
            last_login_at: user.last_login_at.map(Timestamp),
        }
    }
}
