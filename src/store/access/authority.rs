//! Permission checks for changes of users, keys and tenants, made within the transaction of the change.
//!
//! A request is authorized before its work begins, and the work may take a while: an administrator who is locked or
//! demoted in the meantime must not create another one.

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    error::{Error, Reason, Result},
    id::UserId,
    store::{
        access::user::{ADMIN, User},
        core::{scope::Scope, transaction::DatabaseTransaction},
        entities::user,
    },
};

/// Error for callers who are not administrators.
pub const ADMINISTRATORS_ONLY: &str = "only an administrator may do this";
/// Error for callers who are not operators of the installation.
pub const OPERATORS_ONLY: &str = "only an operator of the installation may do this";

/// Fails unless the caller is still an administrator.
pub(in crate::store) async fn check_administrator(
    scope: &Scope,
    transaction: &DatabaseTransaction,
) -> Result<()> {
    match caller(scope, transaction).await? {
        Some(user) if user.profile.role != ADMIN => {
            Err(Error::Forbidden(ADMINISTRATORS_ONLY.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Fails unless the caller is still an operator of the installation.
pub(in crate::store) async fn check_operator(
    scope: &Scope,
    transaction: &DatabaseTransaction,
) -> Result<()> {
    match caller(scope, transaction).await? {
        Some(user) if !user.is_operator => Err(Error::Forbidden(OPERATORS_ONLY.to_owned())),
        _ => Ok(()),
    }
}

/// Locks the calling user until the end of the transaction; `None` if the hub itself makes the change.
async fn caller(scope: &Scope, transaction: &DatabaseTransaction) -> Result<Option<User>> {
    let Some(id) = caller_id(scope) else {
        return Ok(None);
    };
    let found = scope
        .find::<user::Entity>()
        .filter(user::Column::Id.eq(id.0))
        .filter(user::Column::Locked.eq(false))
        .lock_shared()
        .one(transaction)
        .await?;
    let user = found.map(User::from).ok_or(Error::Unauthenticated)?;
    Ok(Some(user))
}

fn caller_id(scope: &Scope) -> Option<UserId> {
    scope.call.as_ref().and_then(|call| call.user)
}

/// Administrators of the tenant who can log in.
pub(in crate::store) struct Administrators(Vec<User>);

impl Administrators {
    /// Locks the administrators until the end of the transaction, before any other user and in the order of their
    /// ids, so that two who demote each other run one after the other. Fails if the caller is not one of them.
    pub async fn hold(scope: &Scope, transaction: &DatabaseTransaction) -> Result<Self> {
        let found = scope
            .find::<user::Entity>()
            .filter(user::Column::Role.eq(ADMIN))
            .filter(user::Column::Locked.eq(false))
            .order_by_asc(user::Column::Id)
            .lock_exclusive()
            .all(transaction)
            .await?;
        let administrators = Self(found.into_iter().map(User::from).collect());
        match caller_id(scope) {
            Some(id) if administrators.find(id).is_none() => {
                Err(Error::Forbidden(ADMINISTRATORS_ONLY.to_owned()))
            }
            _ => Ok(administrators),
        }
    }

    fn find(&self, id: UserId) -> Option<&User> {
        self.0.iter().find(|user| user.id == id)
    }

    /// Fails if a caller who is no operator changes an operator, whose password or sessions give access to every
    /// tenant.
    pub fn check_change(&self, scope: &Scope, user: &User) -> Result<()> {
        let caller = caller_id(scope).and_then(|id| self.find(id));
        match caller {
            Some(caller) if user.is_operator && !caller.is_operator => Err(Error::Forbidden(
                "only an operator of the installation may change or delete an operator".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Fails if the change would lose the last administrator, or the last operator, who can log in.
    pub fn check_loss(&self, user: &User) -> Result<()> {
        if self.find(user.id).is_none() {
            return Ok(());
        }
        if self.0.len() == 1 {
            return Err(Error::rejected(
                Reason::WrongState,
                format!(
                    "\"{}\" is the last active administrator of the tenant: make another user an administrator first",
                    user.username
                ),
            ));
        }
        let operators = self.0.iter().filter(|user| user.is_operator).count();
        if user.is_operator && operators == 1 {
            return Err(Error::rejected(
                Reason::WrongState,
                format!(
                    "\"{}\" is the last active operator of the installation and cannot be locked or demoted",
                    user.username
                ),
            ));
        }
        Ok(())
    }
}
