//! Users: usernames are unique, passwords are hard to guess, and the last administrator cannot be removed.

use std::net::IpAddr;

use super::{password_rules, passwords::Asker};
use crate::{
    error::{Error, Reason, Result},
    hub::Hub,
    secret,
    store::{
        Scope,
        access::{
            tenants::{self, NewTenant, Tenant},
            users::{self, NewUser, Profile, User},
        },
    },
    username,
};

/// The session in which a user changes the own password.
pub struct OwnSession<'a> {
    /// Token of the session, which stays valid.
    pub token: &'a str,
    /// Address of the client.
    pub address: IpAddr,
}

impl Hub {
    /// Adds a user.
    pub async fn create_user(
        &self,
        scope: &Scope,
        username: String,
        profile: Profile,
        password: &str,
    ) -> Result<User> {
        let probe = self.name_probes.begin(
            scope.tenant(),
            "attempts to use names of other tenants' users",
        )?;
        let made = async {
            let new = self
                .new_user(scope, "", username.clone(), profile, password)
                .await?;
            users::insert(scope, new).await
        };
        let made = made.await;
        match &made {
            // The error reveals that another tenant has the name, which cannot be avoided; the number of
            // names that a tenant can discover is limited.
            Err(error) if error.is_conflict() && !users::is_named(scope, &username).await? => {
                drop(probe)
            }
            _ => probe.withdraw(),
        }
        made
    }

    /// Replaces a user's profile, and the password if a new one is given.
    pub async fn update_user(
        &self,
        scope: &Scope,
        user: &User,
        profile: Profile,
        password: Option<&str>,
    ) -> Result<User> {
        let hash = match password {
            Some(password) => {
                let asker = Asker::Tenant(scope.tenant());
                let hash = self
                    .passwords
                    .new_hash(asker, "password", password, &user.username);
                Some(hash.await?)
            }
            None => None,
        };
        users::update(scope, user.id, profile, hash).await
    }

    /// Changes the caller's own password and ends all other sessions of the user. Wrong current passwords
    /// count like failed logins.
    pub async fn change_password(
        &self,
        scope: &Scope,
        user: &User,
        current: &str,
        new: &str,
        session: OwnSession<'_>,
    ) -> Result<User> {
        password_rules::check_form("new_password", new, &user.username)?;
        let place = self.passwords.place(Asker::Address(session.address))?;
        let guess = self.begin_guess(&user.username, session.address)?;
        let hash = Some(user.password_hash.as_str());
        let wrong = || {
            Error::of_field(
                Reason::BadCredentials,
                "current_password",
                "is not your current password",
            )
        };
        match self.passwords.verify(place, current, hash).await {
            Ok(true) => guess.succeed(),
            Ok(false) => return Err(wrong()),
            Err(error) => {
                guess.withdraw();
                return Err(error);
            }
        }
        let hash = self
            .passwords
            .new_hash(
                Asker::Tenant(scope.tenant()),
                "new_password",
                new,
                &user.username,
            )
            .await?;
        let keep = secret::hash_token(session.token);
        let changed = users::set_password(scope, user, hash, &keep).await?;
        changed.ok_or_else(wrong)
    }

    /// Adds a tenant with its first administrator.
    pub async fn create_tenant(
        &self,
        scope: &Scope,
        new: NewTenant,
        username: String,
        profile: Profile,
        password: &str,
    ) -> Result<Tenant> {
        let administrator = self
            .new_user(scope, "administrator.", username, profile, password)
            .await?;
        tenants::insert(scope, new, administrator).await
    }

    async fn new_user(
        &self,
        scope: &Scope,
        place: &str,
        username: String,
        profile: Profile,
        password: &str,
    ) -> Result<NewUser> {
        username::check_scripts(&username)
            .map_err(|rule| Error::field(&format!("{place}username"), rule))?;
        let field = format!("{place}password");
        Ok(NewUser {
            password_hash: self
                .passwords
                .new_hash(Asker::Tenant(scope.tenant()), &field, password, &username)
                .await?,
            username,
            profile,
        })
    }
}
