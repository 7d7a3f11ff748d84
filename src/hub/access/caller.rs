//! Who calls.

use crate::{
    clock::Time,
    live::Listener,
    store::{
        Call, Scope,
        access::{api_keys::ApiKey, users::User},
    },
};

/// Somebody who has shown a valid token.
#[derive(Clone)]
pub struct Caller {
    /// Who it is.
    pub identity: Identity,
    /// The caller's tenant.
    pub scope: Scope,
}

/// A person or a program.
#[derive(Clone)]
pub enum Identity {
    /// A user who has logged in.
    User {
        /// Who it is.
        user: User,
        /// When the session ends.
        expires_at: Time,
    },
    /// A program with an API key.
    Key(ApiKey),
}

impl Caller {
    /// Who it is among those who listen to live streams.
    pub fn listener(&self) -> Listener {
        match &self.identity {
            Identity::User { user, .. } => Listener::User(user.id),
            Identity::Key(key) => Listener::ApiKey(key.id),
        }
    }

    /// The caller with a scope that knows the call.
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
