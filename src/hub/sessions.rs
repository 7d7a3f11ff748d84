//! Logging in and out, and who a token belongs to.

use std::{net::IpAddr, time::Duration};

use chrono::TimeDelta;
use moka::sync::Cache;

use super::{
    Hub,
    caller::{Caller, Identity},
};
use crate::{
    clock::{self, Time},
    error::{Error, Result},
    secret,
    store::{
        Scope,
        api_keys::{self, ApiKey},
        identity,
        users::User,
    },
};

/// How long failed log-ins are remembered.
const FAILURES_WINDOW: Duration = Duration::from_secs(15 * 60);
/// Name of the first tenant.
const FIRST_TENANT: &str = "default";
/// Name of the first administrator.
const FIRST_USERNAME: &str = "admin";

pub struct Sessions {
    failures: Cache<(String, IpAddr), u32>,
    failures_max: u32,
}

impl Sessions {
    pub fn new(failures_max: u32) -> Self {
        Self {
            failures: Cache::builder()
                .max_capacity(100_000)
                .time_to_live(FAILURES_WINDOW)
                .build(),
            failures_max,
        }
    }
}

/// A fresh session.
pub struct Login {
    /// Who logged in.
    pub user: User,
    /// What to send from now on.
    pub token: String,
    /// Until when.
    pub expires_at: Time,
}

impl Hub {
    /// Opens a session, if name and password are right. Whether the user exists does not show,
    /// neither in the answer nor in its time.
    pub async fn log_in(&self, username: &str, password: &str, address: IpAddr) -> Result<Login> {
        let attempt = (username.to_lowercase(), address);
        let failures = self.sessions.failures.get(&attempt).unwrap_or(0);
        if failures >= self.sessions.failures_max {
            return Err(Error::Unavailable {
                what: "too many failed log-ins of this user from this address; wait a while"
                    .to_owned(),
                retry_after_s: FAILURES_WINDOW.as_secs(),
                source: None,
            });
        }
        let user = self.store.find_user(username).await?;
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let matches = self.passwords.verify(password, hash).await?;
        let Some(user) = user.filter(|user| matches && !user.profile.locked) else {
            self.sessions.failures.insert(attempt, failures + 1);
            return Err(Error::Invalid("invalid credentials".to_owned()));
        };
        self.sessions.failures.invalidate(&attempt);
        let (token, token_hash) = secret::new_token();
        let life = TimeDelta::hours(i64::from(self.config.session_hours));
        let scope = self.store.scope(user.tenant);
        let session = identity::open_session(&scope, user.id, &token_hash, life).await?;
        Ok(Login {
            user: session.user,
            token,
            expires_at: session.expires_at,
        })
    }

    /// Ends the session of this token; it is dead on the next request.
    pub async fn log_out(&self, scope: &Scope, token: &str) -> Result<()> {
        identity::close_session(scope, &secret::hash_token(token)).await
    }

    /// Who this token belongs to.
    pub async fn authenticate(&self, token: &str) -> Result<Caller> {
        let hash = secret::hash_token(token);
        if !token.starts_with(secret::API_KEY_PREFIX) {
            let session = self.store.find_session(&hash).await?;
            let session = session.ok_or(Error::Unauthenticated)?;
            return Ok(Caller {
                scope: self.store.scope(session.user.tenant),
                identity: Identity::User {
                    user: session.user,
                    expires_at: session.expires_at,
                },
            });
        }
        let found = self.store.find_api_key(&hash).await?;
        let (tenant, key) = found.ok_or(Error::Unauthenticated)?;
        let scope = self.store.scope(tenant);
        self.note_use(&scope, &key).await;
        Ok(Caller {
            scope,
            identity: Identity::Key(key),
        })
    }

    /// Last use is told to a minute, so that a key in use costs no write for each request.
    async fn note_use(&self, scope: &Scope, key: &ApiKey) {
        let is_noted = key
            .last_used_at
            .is_some_and(|at| clock::now() - at < TimeDelta::minutes(1));
        if is_noted || !self.store.takes_writes() {
            return;
        }
        if let Err(error) = api_keys::touch(scope, key.id).await {
            tracing::warn!("the use of API key {} was not noted: {error}", key.id);
        }
    }

    /// Makes the first tenant and its administrator; answers the password if it had to invent one.
    pub async fn first_run(&self) -> Result<Option<String>> {
        if self.store.is_seeded().await? {
            return Ok(None);
        }
        let given = self
            .config
            .admin_password
            .as_ref()
            .map(|password| password.0.clone());
        let password = given
            .clone()
            .unwrap_or_else(|| secret::new_token().0[..24].to_owned());
        let hash = self.passwords.hash(&password).await?;
        let seeded = self.store.seed(FIRST_TENANT, FIRST_USERNAME, &hash).await?;
        Ok(Some(password).filter(|_| seeded && given.is_none()))
    }
}
