//! Types of users.

use serde::Serialize;

use crate::{
    clock::Time,
    id::{TenantId, UserId},
    store::entities::user,
};

/// Role with all permissions in its tenant.
pub const ADMIN: &str = "admin";

/// User of a tenant.
#[derive(Debug, Clone)]
pub struct User {
    /// Identifier of the user.
    pub id: UserId,
    /// Tenant of the user.
    pub tenant: TenantId,
    /// Login name in its original spelling.
    pub username: String,
    /// Person and permissions.
    pub profile: Profile,
    /// True if the user also manages the installation's tenants.
    pub is_operator: bool,
    /// PHC string of the argon2id hash.
    pub password_hash: String,
    /// Revision, which grows with every change.
    pub revision: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last change.
    pub updated_at: Time,
    /// Time of the last login.
    pub last_login_at: Option<Time>,
}

/// Person behind a user: the data that the user may change without an administrator.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Person {
    /// Full name of the person.
    pub full_name: String,
    /// E-mail address of the person.
    pub email: String,
    /// Country of the person.
    pub country: String,
}

/// Profile of a user, as set by an administrator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// Person behind the user.
    #[serde(flatten)]
    pub person: Person,
    /// `admin`, `editor` or `viewer`.
    pub role: String,
    /// True if the user cannot log in.
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
