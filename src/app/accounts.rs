//! The users of the installation, for commands that work directly on the database. Hubs may run meanwhile.

use super::obstacles::unopened;
use crate::{
    config::Config,
    error::Result,
    hub::access::recovery,
    store::{Store, access::users::User},
};

pub use recovery::NewAccount;

/// The users of an installation.
pub struct Accounts {
    store: Store,
}

/// A user, with the name of its tenant.
pub struct Account {
    /// The user.
    pub user: User,
    /// Name of the tenant.
    pub tenant: String,
}

impl Accounts {
    /// Opens the database. The error is one line that names the setting.
    pub async fn open(config: &Config) -> Result<Self, String> {
        match Store::open_beside(config).await {
            Ok(store) => Ok(Self { store }),
            Err(error) => Err(unopened(config, &error).await),
        }
    }

    /// Closes the database.
    pub async fn close(self) -> Result<()> {
        self.store.close().await
    }

    /// Returns all users, by tenant and name.
    pub async fn list(&self) -> Result<Vec<Account>> {
        let tenants = self.store.tenant_names().await?;
        let users = self.store.all_users().await?.into_iter();
        let named = users.map(|user| {
            let tenant = tenants.iter().find(|(id, _)| *id == user.tenant);
            Account {
                tenant: tenant.map(|(_, name)| name.clone()).unwrap_or_default(),
                user,
            }
        });
        Ok(named.collect())
    }

    /// Adds a user.
    pub async fn create(&self, new: NewAccount<'_>, password: &str) -> Result<User> {
        recovery::create(&self.store, new, password).await
    }

    /// Sets another password and unlocks the user; an operator becomes an administrator again. All sessions of the
    /// user end.
    pub async fn reset_password(&self, username: &str, password: &str) -> Result<User> {
        recovery::reset_password(&self.store, username, password).await
    }

    /// Unlocks a user. Returns `None` if the user is not locked.
    pub async fn unlock(&self, username: &str) -> Result<Option<User>> {
        recovery::unlock(&self.store, username).await
    }
}
