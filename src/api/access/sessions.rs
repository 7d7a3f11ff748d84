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

/// Endpoints of `auth/token`.
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
