//! Rows of drivers: found, held and counted.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    clock,
    error::{Error, Result},
    reference::DriverKey,
    store::{
        core::{scope::Scope, transaction::DatabaseTransaction},
        entities::driver,
    },
};

/// The resource's name in paths.
pub(in crate::store) const RESOURCE: &str = "drivers";

/// The driver with this author and name.
pub(in crate::store) fn called(key: &DriverKey) -> Condition {
    Condition::all()
        .add(driver::Column::Author.eq(&key.author))
        .add(driver::Column::Name.eq(&key.name))
}

/// A driver's row, where there is one.
pub(in crate::store) async fn find(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    key: &DriverKey,
) -> Result<Option<driver::Model>> {
    let found = scope.find::<driver::Entity>().filter(called(key));
    Ok(found.one(connection).await?)
}

/// A driver's row as it is until the end of the transaction: whoever adds versions or moves tags
/// holds it. The client's `If-Match` is about the part that it changes, not about the row.
pub(in crate::store) async fn hold(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    key: &DriverKey,
) -> Result<driver::Model> {
    let found = find_held(scope, transaction, key).await?;
    found.ok_or_else(|| missing(key))
}

/// The same, where there is one.
pub(in crate::store) async fn find_held(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    key: &DriverKey,
) -> Result<Option<driver::Model>> {
    let found = scope.find::<driver::Entity>().filter(called(key));
    Ok(found.lock_exclusive().one(transaction).await?)
}

/// Counts a change of something that the driver shows.
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
        .col_expr(driver::Column::UpdatedAt, Expr::value(clock::now()))
        .filter(driver::Column::Id.eq(driver_id))
        .exec(transaction)
        .await?;
    Ok(())
}

/// There is no such driver.
pub(in crate::store) fn missing(key: &DriverKey) -> Error {
    Error::missing("driver", key)
}
