//! Rows of drivers: look-up, locking and revisions.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    error::{Error, Result},
    reference::DriverKey,
    store::{
        core::{scope::Scope, transaction::DatabaseTransaction},
        entities::driver,
    },
};

/// Name of the resource in paths.
pub(in crate::store) const RESOURCE: &str = "drivers";

/// Returns the condition for the driver with this author and name.
pub(in crate::store) fn called(key: &DriverKey) -> Condition {
    Condition::all()
        .add(driver::Column::Author.eq(&key.author))
        .add(driver::Column::Name.eq(&key.name))
}

/// Returns a driver's row, if it exists.
pub(in crate::store) async fn find(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    key: &DriverKey,
) -> Result<Option<driver::Model>> {
    let found = scope.find::<driver::Entity>().filter(called(key));
    Ok(found.one(connection).await?)
}

/// Locks a driver's row until the end of the transaction, as required to add versions or move tags. Does not check
/// the revision, because the client's `If-Match` refers to the changed part, not to the driver.
pub(in crate::store) async fn hold(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    key: &DriverKey,
) -> Result<driver::Model> {
    let found = find_held(scope, transaction, key).await?;
    found.ok_or_else(|| missing(key))
}

/// Locks a driver's row like [`hold`], if it exists.
pub(in crate::store) async fn find_held(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    key: &DriverKey,
) -> Result<Option<driver::Model>> {
    let found = scope.find::<driver::Entity>().filter(called(key));
    Ok(found.lock_exclusive().one(transaction).await?)
}

/// Increments the driver's revision after a change of one of its parts.
pub(in crate::store) async fn touch(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    driver_id: i64,
) -> Result<()> {
    scope
        .update::<driver::Entity>()
        .col_expr(
            driver::Column::Revision,
            Expr::col(driver::Column::Revision).add(1),
        )
        .col_expr(driver::Column::UpdatedAt, Expr::value(scope.now()))
        .filter(driver::Column::Id.eq(driver_id))
        .exec(transaction)
        .await?;
    Ok(())
}

/// Returns the error for a driver that does not exist.
pub(in crate::store) fn missing(key: &DriverKey) -> Error {
    Error::missing("driver", key)
}
