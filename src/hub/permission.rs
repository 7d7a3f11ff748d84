//! Who may do what: one table.

use crate::{
    clock::Time,
    error::{Error, Result},
    store::{Scope, identity::User},
};

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything in the tenant, users and keys included.
    Admin,
    /// Read and provision.
    Editor,
    /// Read.
    Viewer,
}

impl Role {
    /// From the database's text; what is unknown may only read.
    pub fn parse(text: &str) -> Self {
        match text {
            "admin" => Role::Admin,
            "editor" => Role::Editor,
            _ => Role::Viewer,
        }
    }

    fn may(self, action: Action) -> bool {
        match action {
            Action::Read => true,
            Action::Provision => matches!(self, Role::Admin | Role::Editor),
        }
    }
}

/// What a use case does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Looks.
    Read,
    /// Makes, changes or removes connections, devices, drivers, data tables, integrations.
    Provision,
}

/// A logged-in user.
#[derive(Clone)]
pub struct Caller {
    /// Who it is.
    pub user: User,
    /// When the session ends.
    pub expires_at: Time,
    pub(super) scope: Scope,
}

impl Caller {
    /// The caller's tenant, if the caller may do this there. There is no other way to a scope.
    pub fn may(&self, action: Action) -> Result<&Scope> {
        if Role::parse(&self.user.role).may(action) {
            Ok(&self.scope)
        } else {
            Err(Error::Forbidden("your role may only read".to_owned()))
        }
    }
}
