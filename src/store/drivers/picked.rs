//! Look-up of the version that a tag or a digest identifies.

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect, Select};

use crate::{
    error::{Error, Result},
    reference::{DriverKey, Pick},
    store::{
        core::scope::Scope,
        drivers::rows,
        entities::{driver, driver_tag, driver_version},
    },
};

/// Returns the key of the version that a tag or a digest identifies.
pub(in crate::store) async fn find_id(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    key: &DriverKey,
    pick: &Pick,
) -> Result<Option<i64>> {
    let id = picked(scope, key, pick)
        .select_only()
        .column(driver_version::Column::Id)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(id)
}

pub(in crate::store) fn picked(
    scope: &Scope,
    key: &DriverKey,
    pick: &Pick,
) -> Select<driver_version::Entity> {
    let query = scope
        .find::<driver_version::Entity>()
        .inner_join(driver::Entity)
        .filter(rows::called(key));
    match pick {
        Pick::Tag(tag) => query
            .inner_join(driver_tag::Entity)
            .filter(driver_tag::Column::Name.eq(tag)),
        Pick::Digest(digest) => query.filter(driver_version::Column::Digest.eq(digest)),
    }
}

/// Returns the error for a version that does not exist.
pub(in crate::store) fn missing(key: &DriverKey, pick: &Pick) -> Error {
    let what = match pick {
        Pick::Tag(_) => "driver tag",
        Pick::Digest(_) => "driver version",
    };
    Error::missing(what, format!("{key}{pick}"))
}
