//! Users as they are read.

use serde::Serialize;

use crate::{
    clock::Time,
    id::{TenantId, UserId},
    store::entities::user,
};

/// The role that may do everything in its tenant.
pub const ADMIN: &str = "admin";

/// A user.
#[derive(Debug, Clone)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Whose user it is.
    pub tenant: TenantId,
    /// The login name as it was given.
    pub username: String,
    /// The person, and what the person may do.
    pub profile: Profile,
    /// Whether it manages the installation's tenants as well.
    pub is_operator: bool,
    /// PHC string of the argon2id hash.
    pub password_hash: String,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// When it last logged in.
    pub last_login_at: Option<Time>,
}

/// The person behind a user: what the user may change without an administrator.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Person {
    /// Full name.
    pub full_name: String,
    /// E-mail address.
    pub email: String,
    /// Country.
    pub country: String,
}

/// What an administrator says of a user.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The person.
    #[serde(flatten)]
    pub person: Person,
    /// `admin`, `editor` or `viewer`.
    pub role: String,
    /// Whether it is kept out.
    pub locked: bool,
}

impl From<user::Model> for User {
    fn from(model: user::Model) -> Self {
        let user::Model {
            tenant_id,
            id,
            created_at,
            updated_at,
            revision,
            username,
            username_folded: _,
            username_skeleton: _,
            full_name,
            email,
            country,
            role,
            password_hash,
            last_login_at,
            locked,
            is_operator,
        } = model;
        Self {
            id: UserId(id),
            tenant: TenantId(tenant_id),
            username,
            profile: Profile {
                person: Person {
                    full_name,
                    email,
                    country,
                },
                role,
                locked,
            },
            is_operator,
            password_hash,
            revision,
            created_at,
            updated_at,
            last_login_at,
        }
    }
}
