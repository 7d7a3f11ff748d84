//! Sessions: log-in, log-out and the current user.

use poem::Result;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        http::{
            answer::Found,
            body::Body,
            caller::Caller,
            client::Client,
            types::{Id, Timestamp},
        },
        tag::Tag,
    },
    error::Error,
    hub::{Hub, Identity},
    store::access::users::User,
    text::{Password, Username},
};

/// Username and password.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// Username, ignoring case.
    username: Username,
    /// Password of the user.
    password: Password,
}

/// New session with its token.
#[derive(Object, Serialize)]
struct Token {
    /// User who logged in.
    #[oai(rename = "User")]
    #[serde(rename = "User")]
    user: UserView,
    /// Time at which the session expires.
    expires: Timestamp,
    /// Token to send as `Authorization: Bearer <token>`: 32 random bytes in base64url with padding.
    token: String,
}

/// Session of the token.
#[derive(Object, Serialize)]
struct Session {
    /// User of the session.
    #[oai(rename = "User")]
    #[serde(rename = "User")]
    user: UserView,
    /// Time at which the session expires.
    expires: Timestamp,
}

/// User of a session.
#[derive(Object, Serialize)]
#[oai(rename = "User")]
struct UserView {
    /// Unique identifier of the user.
    id: Id,
    /// Username, unique in the installation.
    username: String,
    /// Full name of the person; empty if unknown.
    full_name: String,
    /// E-mail address of the person; empty if unknown.
    email: String,
    /// Country of the person; empty if unknown.
    country: String,
    /// Always empty, because passwords are never returned.
    password: String,
    /// Time of creation.
    created_at: Timestamp,
    /// Time of the last change.
    updated_at: Timestamp,
    /// Time of the last login; null if the user has never logged in.
    last_login_at: Option<Timestamp>,
}

/// Endpoints of `auth/token`.
pub struct AuthApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Auth")]
impl AuthApi {
    /// Log in
    ///
    /// Creates a session and returns its token. Needs no token.
    ///
    /// Fails with 400 and the error `invalid credentials` if the username or password is wrong or the user is
    /// locked; neither the response nor its time reveals whether the user exists. Fails with 503 after too many
    /// wrong passwords of one user from one address within 15 minutes, or if the hub is already checking too many
    /// passwords.
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

    /// Get the current session
    ///
    /// Returns the user of the token and the time at which the session expires. Fails with 403 for an API key,
    /// which has no session.
    #[oai(path = "/auth/token", method = "get", operation_id = "get_token")]
    async fn get_token(&self, caller: Caller) -> Result<Found<Session>> {
        Ok(Found(session(&caller)?))
    }

    /// Log out
    ///
    /// Ends the session of the token and returns it. The next request with the token fails with 401. Fails with
    /// 403 for an API key, which has no session.
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
