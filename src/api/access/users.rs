//! Users, and the caller's own account.

use poem::Result;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        http::{
            answer::{Created, Found, Revised, Single},
            body::Body,
            caller::Caller,
            client::Client,
            mirror::words,
            page::Listed,
            paging::Paging,
            sort::SortBy,
            types::{Count, Id, Timestamp},
        },
        tag::Tag,
    },
    hub::{Hub, access::users::OwnSession},
    id::UserId,
    store::{
        access::users::{self, Person, Profile, User},
        core::listing::ResourceOrder,
    },
    text::{Email, Name, NewPassword, NewUsername, Password, PersonText},
};

/// What a user may do
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything in the tenant, users and keys included
    Admin,
    /// Read and provision
    Editor,
    /// Read
    Viewer,
}

/// A user to make
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// Login name, unique in the installation whatever its case. It must not mix scripts such as Latin and
    /// Cyrillic, nor look like another user's name
    username: NewUsername,
    /// Password; it must not contain the username, and not be easy to guess
    password: NewPassword,
    /// What the user may do
    role: Role,
    /// The person's name
    full_name: Option<PersonText>,
    /// The person's e-mail address
    email: Option<Email>,
    /// The person's country
    country: Option<PersonText>,
}

/// What takes the place of a user
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserUpdate {
    /// A new password, which must not be easy to guess; left out, the old one stays. With a new one, the
    /// user must log in again
    password: Option<NewPassword>,
    /// What the user may do
    role: Role,
    /// Whether the user is kept out; its sessions end
    #[oai(default)]
    #[serde(default)]
    locked: bool,
    /// The person's name
    full_name: Option<PersonText>,
    /// The person's e-mail address
    email: Option<Email>,
    /// The person's country
    country: Option<PersonText>,
}

/// What takes the place of the own account
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnUserUpdate {
    /// The person's name
    full_name: Option<PersonText>,
    /// The person's e-mail address
    email: Option<Email>,
    /// The person's country
    country: Option<PersonText>,
}

/// A change of the own password
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The password until now
    current_password: Password,
    /// The password from now on; it must not contain the username, and not be easy to guess
    new_password: NewPassword,
}

/// A user
#[derive(Object, Serialize)]
#[oai(rename = "UserAccount")]
struct AccountView {
    /// Its id
    id: Id,
    /// Login name
    username: String,
    /// What the user may do
    role: Role,
    /// Whether the user is kept out
    locked: bool,
    /// Whether the user manages the installation's tenants as well
    is_operator: bool,
    /// The person's name
    full_name: String,
    /// The person's e-mail address
    email: String,
    /// The person's country
    country: String,
    /// When it last logged in
    last_login_at: Option<Timestamp>,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When it was made
    created_at: Timestamp,
    /// When it was last changed
    updated_at: Timestamp,
}

/// Endpoints of `users`.
pub struct UsersApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Users")]
impl UsersApi {
    /// Create a user
    ///
    /// Of your own tenant. Only an administrator may. Fails with 400 when a user of any tenant has the name
    /// already, and with 503 when your tenant has asked for the names of too many other tenants' users.
    #[oai(path = "/users", method = "post", operation_id = "create_user")]
    async fn create(&self, caller: Caller, body: Body<NewUser>) -> Result<Created<AccountView>> {
        let NewUser {
            username,
            password,
            role,
            full_name,
            email,
            country,
        } = body.0;
        let profile = profile(role, false, full_name, email, country);
        let user = self
            .hub
            .create_user(caller.scope(), username.into_string(), profile, &password)
            .await?;
        Ok(Created {
            location: format!("/api/v3/users/{}", user.id),
            body: user.into(),
        })
    }

    /// List users
    ///
    /// Those of your own tenant.
    #[oai(path = "/users", method = "get", operation_id = "list_users")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those with this role
        role: Query<Option<Role>>,
        /// Only those that are kept out, or with `false` those that are not
        locked: Query<Option<bool>>,
        /// Only those with this text in username, name or e-mail address, whatever its case
        q: Query<Option<Name>>,
        /// What orders them, `name` being the username whatever its case; a minus turns it round.
        /// `created_at` by default
        sort: Query<Option<SortBy<ResourceOrder>>>,
        paging: Paging,
    ) -> Result<Listed<AccountView>> {
        let window = paging.window()?;
        let sort = SortBy::or(sort.0, ResourceOrder::Created);
        let filter = users::Filter {
            role: role.0.map(Role::word),
            locked: locked.0,
            search: q.0.map(Name::into_string),
        };
        let page = users::list(caller.scope(), &filter, sort, &window.stretch).await?;
        Ok(window.answer(page, AccountView::from)?)
    }

    /// Get your own account
    ///
    /// The user who is logged in.
    #[oai(path = "/users/me", method = "get", operation_id = "get_own_user")]
    async fn get_own(&self, caller: Caller) -> Result<Single<AccountView>> {
        Ok(Single(caller.user()?.clone().into()))
    }

    /// Replace your own account
    ///
    /// What is left out is emptied; name, role and password stay.
    #[oai(path = "/users/me", method = "put", operation_id = "update_own_user")]
    async fn update_own(
        &self,
        caller: Caller,
        body: Body<OwnUserUpdate>,
    ) -> Result<Single<AccountView>> {
        let OwnUserUpdate {
            full_name,
            email,
            country,
        } = body.0;
        let person = person(full_name, email, country);
        let user = users::update_person(caller.scope(), caller.user()?.id, person).await?;
        Ok(Single(user.into()))
    }

    /// Change your own password
    ///
    /// All other sessions of yours end; this one goes on. Wrong guesses of the current password count
    /// like failed log-ins: too many of them from one address are put off with a 503.
    #[oai(
        path = "/users/me/password",
        method = "put",
        operation_id = "change_own_password"
    )]
    async fn change_own_password(
        &self,
        caller: Caller,
        client: Client,
        body: Body<PasswordChange>,
    ) -> Result<Single<AccountView>> {
        let PasswordChange {
            current_password,
            new_password,
        } = body.0;
        let user = self
            .hub
            .change_password(
                caller.scope(),
                caller.user()?,
                &current_password,
                &new_password,
                OwnSession {
                    token: &caller.0.token,
                    address: client.0,
                },
            )
            .await?;
        Ok(Single(user.into()))
    }

    /// Get a user
    ///
    /// One of your own tenant.
    #[oai(path = "/users/:id", method = "get", operation_id = "get_user")]
    async fn get(
        &self,
        caller: Caller,
        /// The user's id
        id: Path<Id>,
    ) -> Result<Single<AccountView>> {
        Ok(Single(
            users::get(caller.scope(), UserId(**id)).await?.into(),
        ))
    }

    /// Replace a user
    ///
    /// What is left out is emptied; the password stays unless a new one is given. The last
    /// administrator that is not locked stays one. Fails with 403 when the user is an operator of the
    /// installation and you are not.
    #[oai(path = "/users/:id", method = "put", operation_id = "update_user")]
    async fn update(
        &self,
        caller: Caller,
        /// The user's id
        id: Path<Id>,
        body: Body<UserUpdate>,
    ) -> Result<Single<AccountView>> {
        let UserUpdate {
            password,
            role,
            locked,
            full_name,
            email,
            country,
        } = body.0;
        let user = users::get(caller.scope(), UserId(**id)).await?;
        let profile = profile(role, locked, full_name, email, country);
        let user = self
            .hub
            .update_user(caller.scope(), &user, profile, password.as_deref())
            .await?;
        Ok(Single(user.into()))
    }

    /// Delete a user
    ///
    /// Its sessions end. The last administrator stays, and so does an operator of the installation, whom
    /// nobody else may delete (403). Answers what was deleted.
    #[oai(path = "/users/:id", method = "delete", operation_id = "delete_user")]
    async fn delete(
        &self,
        caller: Caller,
        /// The user's id
        id: Path<Id>,
    ) -> Result<Found<AccountView>> {
        Ok(Found(
            users::delete(caller.scope(), UserId(**id)).await?.into(),
        ))
    }
}

/// Converts the fields of a user that an administrator sets to the store's form.
pub fn profile(
    role: Role,
    locked: bool,
    full_name: Option<PersonText>,
    email: Option<Email>,
    country: Option<PersonText>,
) -> Profile {
    Profile {
        person: person(full_name, email, country),
        role: role.word().to_owned(),
        locked,
    }
}

fn person(
    full_name: Option<PersonText>,
    email: Option<Email>,
    country: Option<PersonText>,
) -> Person {
    Person {
        full_name: full_name.map(PersonText::into_string).unwrap_or_default(),
        email: email.map(Email::into_string).unwrap_or_default(),
        country: country.map(PersonText::into_string).unwrap_or_default(),
    }
}

words!(Role: Admin = "admin", Editor = "editor"; Viewer = "viewer");

impl From<User> for AccountView {
    fn from(user: User) -> Self {
        Self {
            id: Id::saturating(user.id.0),
            role: Role::of_word(&user.profile.role),
            username: user.username,
            locked: user.profile.locked,
            is_operator: user.is_operator,
            full_name: user.profile.person.full_name,
            email: user.profile.person.email,
            country: user.profile.person.country,
            last_login_at: user.last_login_at.map(Timestamp),
            revision: Count::saturating(user.revision),
            created_at: Timestamp(user.created_at),
            updated_at: Timestamp(user.updated_at),
        }
    }
}

impl Revised for AccountView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
