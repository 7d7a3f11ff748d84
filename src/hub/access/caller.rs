//! Authenticated callers.

use crate::{
    clock::Time,
    live::Listener,
    secret,
    store::{
        Call, Scope,
        access::{api_keys::ApiKey, stream_keys::Credential, users::User},
    },
};

/// The sender of a request with a valid token.
#[derive(Clone)]
pub struct Caller {
    /// Identity of the caller.
    pub identity: Identity,
    /// The caller's tenant.
    pub scope: Scope,
}

/// Identity of a person or a program.
#[derive(Clone)]
pub enum Identity {
    /// A user who has logged in.
    User {
        /// Identity of the caller.
        user: User,
        /// Expiry of the session.
        expires_at: Time,
    },
    /// A program with an API key.
    Key(ApiKey),
}

/// Returns the credential that a token is.
pub fn credential_of(token: &str) -> Credential {
    let hash = secret::hash_token(token);
    match token.starts_with(secret::API_KEY_PREFIX) {
        true => Credential::ApiKey(hash),
        false => Credential::Session(hash),
    }
}

impl Caller {
    /// Returns the caller as a listener of live streams.
    pub fn listener(&self) -> Listener {
        match &self.identity {
            Identity::User { user, .. } => Listener::User(user.id),
            Identity::Key(key) => Listener::ApiKey(key.id),
        }
    }

    /// Returns the caller with a scope that records the call, for the audit log.
    pub fn in_call(self, call: Call) -> Self {
        let (user, api_key, name) = match &self.identity {
            Identity::User { user, .. } => (Some(user.id), None, user.username.clone()),
            Identity::Key(key) => (None, Some(key.id), key.made.name.clone()),
        };
        let scope = self.scope.on_behalf(Call {
            user,
            api_key,
            name,
            ..call
        });
        Self { scope, ..self }
    }
}
