//! Users, managed from the command line directly in the database, such as after the last administrator's password
//! was lost.

use super::passwords::{Asker, Passwords};
use crate::{
    error::{Error, Result},
    id::TenantId,
    store::{
        Call, Scope, Store,
        access::users::{self, NewUser, Person, Profile, User},
    },
    text::NewUsername,
    username,
};

/// Name that the audit log has for the caller.
const ACTOR: &str = "the command line";

/// User to create.
pub struct NewAccount<'a> {
    /// Login name.
    pub username: &'a str,
    /// `admin`, `editor` or `viewer`.
    pub role: &'a str,
    /// Name of the tenant; by default the first tenant, which is the operator's.
    pub tenant: Option<&'a str>,
}

/// Sets another password and unlocks the user; an operator becomes an administrator again. All sessions of
/// the user end.
pub async fn reset_password(store: &Store, username: &str, password: &str) -> Result<User> {
    let user = find(store, username).await?;
    let hash = hash(password, &user.username).await?;
    let scope = scope(store, user.tenant, "reset_password");
    users::recover(&scope, user.id, hash).await
}

/// Unlocks a user. Returns `None` if the user is not locked.
pub async fn unlock(store: &Store, username: &str) -> Result<Option<User>> {
    let user = find(store, username).await?;
    users::unlock(&scope(store, user.tenant, "unlock_user"), user.id).await
}

/// Adds a user, with the same rules as through the API.
pub async fn create(store: &Store, new: NewAccount<'_>, password: &str) -> Result<User> {
    let NewAccount {
        username,
        role,
        tenant,
    } = new;
    let tenant = tenant_named(store, tenant).await?;
    let username = NewUsername::new(username).map_err(|rule| Error::field("username", rule))?;
    username::check_scripts(&username).map_err(|rule| Error::field("username", rule))?;
    let new = NewUser {
        password_hash: hash(password, &username).await?,
        username: username.into_string(),
        profile: Profile {
            person: Person::default(),
            role: role.to_owned(),
            locked: false,
        },
    };
    users::insert(&scope(store, tenant, "create_user"), new).await
}

async fn find(store: &Store, username: &str) -> Result<User> {
    let user = store.find_user(username).await?;
    user.ok_or_else(|| Error::missing("user", username))
}

async fn tenant_named(store: &Store, name: Option<&str>) -> Result<TenantId> {
    let tenants = store.tenant_names().await?;
    let found = match name {
        Some(name) => tenants.iter().find(|(_, known)| known == name),
        None => tenants.first(),
    };
    match (found, name) {
        (Some((id, _)), _) => Ok(*id),
        (None, Some(name)) => Err(Error::missing("tenant", name)),
        (None, None) => Err(Error::NotFound(
            "there is no tenant yet: the first start of the hub creates it".to_owned(),
        )),
    }
}

async fn hash(password: &str, username: &str) -> Result<String> {
    Passwords::new()
        .new_hash(Asker::Hub, "password", password, username)
        .await
}

fn scope(store: &Store, tenant: TenantId, operation: &'static str) -> Scope {
    store.scope(tenant).on_behalf(Call {
        operation,
        user: None,
        api_key: None,
        name: ACTOR.to_owned(),
        address: None,
        request_id: String::new(),
        revisions: None,
    })
}
