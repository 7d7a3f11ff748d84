//! Users: names are nobody else's, passwords are hard to guess, and the last administrator stays.

use super::Hub;
use crate::{
    error::{Error, Result},
    secret,
    store::{
        Scope,
        tenants::{self, Tenant},
        users::{self, NewUser, Profile, User},
    },
};

/// Shortest password that may be set, in characters.
pub const PASSWORD_MIN: usize = 10;

impl Hub {
    /// Adds a user.
    pub async fn create_user(
        &self,
        scope: &Scope,
        username: String,
        profile: Profile,
        password: &str,
    ) -> Result<User> {
        let new = self.new_user("", username, profile, password).await?;
        users::insert(scope, new).await
    }

    /// Replaces what is said of a user, and the password where a new one is given.
    pub async fn update_user(
        &self,
        scope: &Scope,
        user: &User,
        profile: Profile,
        password: Option<&str>,
    ) -> Result<User> {
        let hash = match password {
            Some(password) => {
                check_password("password", password, &user.username)?;
                Some(self.passwords.hash(password).await?)
            }
            None => None,
        };
        users::update(scope, user.id, profile, hash).await
    }

    /// Changes the caller's own password; all other sessions of the user end.
    pub async fn change_password(
        &self,
        scope: &Scope,
        user: &User,
        current: &str,
        new: &str,
        token: &str,
    ) -> Result<User> {
        check_password("new_password", new, &user.username)?;
        if !self
            .passwords
            .verify(current, Some(&user.password_hash))
            .await?
        {
            return Err(Error::field("current_password", "is not the password"));
        }
        let hash = self.passwords.hash(new).await?;
        users::set_password(scope, user.id, hash, &secret::hash_token(token)).await?;
        users::get(scope, user.id).await
    }

    /// Adds a tenant with its first administrator.
    pub async fn create_tenant(
        &self,
        scope: &Scope,
        name: &str,
        username: String,
        profile: Profile,
        password: &str,
    ) -> Result<Tenant> {
        let administrator = self
            .new_user("administrator.", username, profile, password)
            .await?;
        tenants::insert(scope, name, administrator).await
    }

    async fn new_user(
        &self,
        place: &str,
        username: String,
        profile: Profile,
        password: &str,
    ) -> Result<NewUser> {
        check_password(&format!("{place}password"), password, &username)?;
        Ok(NewUser {
            username,
            profile,
            password_hash: self.passwords.hash(password).await?,
        })
    }
}

/// NIST SP 800-63B: length counts, composition does not; a password must not be what everybody
/// would try first.
fn check_password(field: &str, password: &str, username: &str) -> Result<()> {
    if password.chars().count() < PASSWORD_MIN {
        return Err(Error::field(
            field,
            format!("must have at least {PASSWORD_MIN} characters"),
        ));
    }
    let folded = password.to_lowercase();
    if folded.contains(&username.to_lowercase()) {
        return Err(Error::field(field, "must not contain the username"));
    }
    let mut characters = folded.chars();
    let first = characters.next();
    if characters.all(|character| Some(character) == first) {
        return Err(Error::field(field, "must not be one character repeated"));
    }
    Ok(())
}
