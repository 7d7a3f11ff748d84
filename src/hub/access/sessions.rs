//! Login, logout and authentication of tokens.

use std::net::IpAddr;

use chrono::TimeDelta;

use super::{
    caller::{Caller, Identity, credential_of},
    passwords::{Asker, Place},
    throttle::{Attempt, subscriber},
};
use crate::{
    clock::Time,
    error::{Error, Reason, Result},
    hub::Hub,
    metrics::Login as Outcome,
    secret,
    store::{
        Scope,
        access::{identity, stream_keys::Credential, users::User},
        core::starting,
    },
    username,
};

/// Name of the first tenant.
const FIRST_TENANT: &str = "default";
/// Name of the first administrator.
const FIRST_USERNAME: &str = "admin";

/// A new session.
pub struct Login {
    /// User of the session.
    pub user: User,
    /// Token to send with the next requests.
    pub token: String,
    /// Expiry of the session.
    pub expires_at: Time,
}

impl Hub {
    /// Opens a session if username and password are right. Neither the answer nor its time reveals whether
    /// the user exists.
    pub async fn log_in(&self, username: &str, password: &str, address: IpAddr) -> Result<Login> {
        let login = self.open_session(username, password, address).await;
        self.metrics.count_login(match &login {
            Ok(_) => Outcome::Success,
            Err(Error::Rejected { .. }) => Outcome::Wrong,
            Err(error) if matches!(error.reason(), Reason::Throttled | Reason::Overloaded) => {
                Outcome::Throttled
            }
            Err(_) => Outcome::Failed,
        });
        login
    }

    async fn open_session(&self, username: &str, password: &str, address: IpAddr) -> Result<Login> {
        let place = self.passwords.place(Asker::Address(address))?;
        let attempt = self.begin_guess(username, address)?;
        let wrong = || Error::rejected(Reason::BadCredentials, "invalid credentials");
        let user = match self.compare(place, username, password).await {
            Ok(user) => user.ok_or_else(wrong)?,
            Err(error) => {
                attempt.withdraw();
                return Err(error);
            }
        };
        attempt.succeed();
        let (token, token_hash) = secret::new_token();
        let life = TimeDelta::hours(i64::from(self.config.session_hours));
        let scope = self.store.scope(user.tenant);
        let session = identity::open_session(&scope, &user, &token_hash, life).await?;
        let session = session.ok_or_else(wrong)?;
        Ok(Login {
            user: session.user,
            token,
            expires_at: session.expires_at,
        })
    }

    /// Returns the user with this name, if the password matches and the user is not locked.
    async fn compare(&self, place: Place, username: &str, password: &str) -> Result<Option<User>> {
        let user = self.store.find_user(username).await?;
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let matches = self.passwords.verify(place, password, hash).await?;
        Ok(user.filter(|user| matches && !user.profile.locked))
    }

    /// Begins an attempt to guess a user's password from an address; fails if there were too many.
    pub(in crate::hub) fn begin_guess(&self, username: &str, address: IpAddr) -> Result<Attempt> {
        let who = (username::folded(username), subscriber(address));
        self.guesses
            .begin(who, "wrong passwords of this user from this address")
    }

    /// Ends the session of this token; the next request with it fails.
    pub async fn log_out(&self, scope: &Scope, token: &str) -> Result<()> {
        identity::close_session(scope, &secret::hash_token(token)).await
    }

    /// Returns the caller to whom this token belongs.
    pub async fn authenticate(&self, token: &str) -> Result<Caller> {
        self.caller_with(credential_of(token)).await
    }

    /// Returns the caller with this credential, if it is valid.
    pub async fn caller_with(&self, credential: Credential) -> Result<Caller> {
        let hash = match credential {
            Credential::ApiKey(hash) => hash,
            Credential::Session(hash) => {
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
        };
        let found = self.store.find_api_key(&hash).await?;
        let (tenant, key) = found.ok_or(Error::Unauthenticated)?;
        let scope = self.store.scope(tenant);
        if self.store.takes_writes() {
            self.key_uses.note(&scope, key.id);
        }
        Ok(Caller {
            scope,
            identity: Identity::Key(key),
        })
    }

    /// Creates the first tenant and its administrator. Returns the password if it was generated.
    pub async fn first_run(&self) -> Result<Option<String>> {
        let is_seeded = async || self.store.is_seeded().await;
        if starting::persist(&self.config, is_seeded).await? {
            return Ok(None);
        }
        let given = self
            .config
            .admin_password
            .as_ref()
            .map(|password| password.0.clone());
        let (password, hash) = match &given {
            Some(password) => {
                let setting = "setting admin_password";
                let hash = self
                    .passwords
                    .new_hash(Asker::Hub, setting, password, FIRST_USERNAME);
                (password.clone(), hash.await?)
            }
            None => {
                let password = secret::new_token().0[..24].to_owned();
                let hash = self.passwords.hash(&password).await?;
                (password, hash)
            }
        };
        let seeded = self.store.seed(FIRST_TENANT, FIRST_USERNAME, &hash).await?;
        Ok(Some(password).filter(|_| seeded && given.is_none()))
    }
}
