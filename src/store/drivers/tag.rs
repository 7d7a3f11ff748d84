//! Tags as shown with drivers and versions.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    clock::Time,
    error::{Error, Result},
    store::{
        core::scope::Scope,
        entities::{driver_tag, driver_version},
    },
};

/// Tag and the version that it points at.
#[derive(Debug, Clone)]
pub struct Tag {
    /// Name of the tag.
    pub name: String,
    /// Digest of the version.
    pub digest: String,
    /// Entry functions that the version's script defines.
    pub functions: Vec<String>,
    /// Time of the last move.
    pub updated_at: Time,
}

/// Returns the names of the tags that point at each version.
pub(in crate::store) async fn of_versions(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    versions: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, Vec<String>>> {
    let found: Vec<(i64, String)> = scope
        .find::<driver_tag::Entity>()
        .filter(driver_tag::Column::VersionId.is_in(versions))
        .order_by_asc(driver_tag::Column::Name)
        .select_only()
        .columns([driver_tag::Column::VersionId, driver_tag::Column::Name])
        .into_tuple()
        .all(connection)
        .await?;
    let mut tags: HashMap<i64, Vec<String>> = HashMap::new();
    for (version, name) in found {
        tags.entry(version).or_default().push(name);
    }
    Ok(tags)
}

/// Returns the tags of each driver, ordered by name.
pub(in crate::store) async fn of_drivers(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    drivers: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, Vec<Tag>>> {
    let found: Vec<(i64, String, String, serde_json::Value, Time)> = scope
        .find::<driver_tag::Entity>()
        .inner_join(driver_version::Entity)
        .filter(driver_tag::Column::DriverId.is_in(drivers))
        .order_by_asc(driver_tag::Column::Name)
        .select_only()
        .column(driver_tag::Column::DriverId)
        .column(driver_tag::Column::Name)
        .column(driver_version::Column::Digest)
        .column(driver_version::Column::Functions)
        .column(driver_tag::Column::UpdatedAt)
        .into_tuple()
        .all(connection)
        .await?;
    let mut tags: HashMap<i64, Vec<Tag>> = HashMap::new();
    for (driver, name, digest, functions, updated_at) in found {
        tags.entry(driver).or_default().push(Tag {
            name,
            digest,
            functions: serde_json::from_value(functions).map_err(Error::internal)?,
            updated_at,
        });
    }
    Ok(tags)
}
