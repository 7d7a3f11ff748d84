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

/// Role of a user, which determines its permissions.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read and change everything in the tenant, including users, API keys and the audit log.
    Admin,
    /// Read and change network connections, drivers, devices, data tables and integrations.
    Editor,
    /// Read network connections, drivers, devices, data tables and integrations.
    Viewer,
}

/// User to create.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// Username, unique in the installation, ignoring case. Allowed characters are letters and digits of any
    /// script, `-`, `_`, `.` and inner spaces. The username must not mix scripts such as Latin and Cyrillic, and
    /// must not look like that of another user. It cannot be changed later.
    username: NewUsername,
    /// Password. It must not contain the username or NUL characters, repeat a single character, or be easy to guess.
    password: NewPassword,
    /// Role of the user.
    role: Role,
    /// Full name of the person; empty if omitted or null.
    full_name: Option<PersonText>,
    /// E-mail address of the person; empty if omitted or null.
    email: Option<Email>,
    /// Country of the person; empty if omitted or null.
    country: Option<PersonText>,
}

/// New values of a user.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserUpdate {
    /// New password. It must not contain the username or NUL characters, repeat a single character, or be easy to
    /// guess. A new password ends all sessions of the user. Omitted or null keeps the current password.
    password: Option<NewPassword>,
    /// Role of the user.
    role: Role,
    /// True if the user is locked. A locked user cannot log in, and all its sessions end.
    #[oai(default)]
    #[serde(default)]
    locked: bool,
    /// Full name of the person; empty if omitted or null.
    full_name: Option<PersonText>,
    /// E-mail address of the person; empty if omitted or null.
    email: Option<Email>,
    /// Country of the person; empty if omitted or null.
    country: Option<PersonText>,
}

/// New values of your own account.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnUserUpdate {
    /// Your full name; empty if omitted or null.
    full_name: Option<PersonText>,
    /// Your e-mail address; empty if omitted or null.
    email: Option<Email>,
    /// Your country; empty if omitted or null.
    country: Option<PersonText>,
}

/// Change of your own password.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// Current password.
    current_password: Password,
    /// New password. It must not contain the username or NUL characters, repeat a single character, or be easy to
    /// guess.
    new_password: NewPassword,
}

/// User of a tenant.
#[derive(Object, Serialize)]
#[oai(rename = "UserAccount")]
struct AccountView {
    /// Unique identifier of the user.
    id: Id,
    /// Username, unique in the installation, ignoring case.
    username: String,
    /// Role of the user.
    role: Role,
    /// True if the user is locked and cannot log in.
    locked: bool,
    /// True if the user is an operator, who also manages the tenants of the installation.
    is_operator: bool,
    /// Full name of the person; empty if unknown.
    full_name: String,
    /// E-mail address of the person; empty if unknown.
    email: String,
    /// Country of the person; empty if unknown.
    country: String,
    /// Time of the last login; null if the user has never logged in.
    last_login_at: Option<Timestamp>,
    /// Number of the revision, which increases with every change by a client. The `ETag` header contains it.
    revision: Count,
    /// Time of creation.
    created_at: Timestamp,
    /// Time of the last change.
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
    /// Creates a user of your own tenant. Requires the role `admin`.
    ///
    /// Fails with 400 if a user of any tenant has the username or one that looks like it, or if the password is
    /// too easy to guess. Fails with 503 if your tenant has tried 100 usernames of other tenants within 15 minutes.
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
    /// Returns the users of your own tenant. Filters are combined with AND. Requires the role `admin`.
    #[oai(path = "/users", method = "get", operation_id = "list_users")]
    async fn list(
        &self,
        caller: Caller,
        /// Only users with this role.
        role: Query<Option<Role>>,
        /// `true` for locked users only, `false` for users who are not locked only.
        locked: Query<Option<bool>>,
        /// Text that the username, full name or e-mail address must contain, ignoring case.
        q: Query<Option<Name>>,
        /// Sort key; prefix it with `-` for descending order. `name` is the username, ignoring case. Sorted by
        /// `created_at` if omitted.
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
    /// Returns the user of the session. Fails with 403 for an API key, which has no user.
    #[oai(path = "/users/me", method = "get", operation_id = "get_own_user")]
    async fn get_own(&self, caller: Caller) -> Result<Single<AccountView>> {
        Ok(Single(caller.user()?.clone().into()))
    }

    /// Update your own account
    ///
    /// Replaces your full name, e-mail address and country; omitted fields become empty. The username, role and
    /// password do not change. Fails with 403 for an API key, which has no user.
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
    /// Changes your password and ends all your other sessions. The session of this request stays valid.
    ///
    /// Fails with 400 if `current_password` is wrong or `new_password` is too easy to guess, and with 403 for an
    /// API key, which has no user. A wrong `current_password` counts as a failed login: fails with 503 after too
    /// many of them from one address within 15 minutes.
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
    /// Returns a user of your own tenant. Requires the role `admin`. Fails with 404 if the user does not exist.
    #[oai(path = "/users/:id", method = "get", operation_id = "get_user")]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the user.
        id: Path<Id>,
    ) -> Result<Single<AccountView>> {
        Ok(Single(
            users::get(caller.scope(), UserId(**id)).await?.into(),
        ))
    }

    /// Update a user
    ///
    /// Replaces the role, the lock and the personal data of a user; omitted fields are reset to their defaults. The
    /// password changes only if `password` is given. Locking the user or changing its password ends all its
    /// sessions. Requires the role `admin`.
    ///
    /// Fails with 400 if the new password is too easy to guess, or if the last active administrator of the tenant,
    /// or the last active operator of the installation, would be locked or demoted. Fails with 403 if the user is
    /// an operator of the installation and you are not. Fails with 404 if the user does not exist.
    #[oai(path = "/users/:id", method = "put", operation_id = "update_user")]
    async fn update(
        &self,
        caller: Caller,
        /// Unique identifier of the user.
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
    /// Deletes a user and returns it. All its sessions end. Requires the role `admin`.
    ///
    /// Fails with 400 if the user is the last active administrator of the tenant or an operator of the
    /// installation; the latter is a 403 unless you are an operator, too. Fails with 404 if the user does not
    /// exist.
    #[oai(path = "/users/:id", method = "delete", operation_id = "delete_user")]
    async fn delete(
        &self,
        caller: Caller,
        /// Unique identifier of the user.
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
