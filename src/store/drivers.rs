//! Drivers, their versions and the tags that point at versions.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    Scope,
    audit::subject,
    entities::{device, driver, driver_tag, driver_version},
    met,
};
use crate::{
    clock::{self, Time},
    error::{Error, Result},
};

/// The resource's name in paths.
const RESOURCE: &str = "drivers";

/// A driver's author and name.
#[derive(Debug, Clone, PartialEq)]
pub struct DriverKey {
    /// Who wrote it.
    pub author: String,
    /// What it is for.
    pub name: String,
}

/// What a client says of a driver, beside its script. `S` is one entry of `supports`.
#[derive(Debug, Clone, Serialize)]
pub struct Metadata<S> {
    /// For people.
    pub description: String,
    /// The devices it is for.
    pub supports: Vec<S>,
    /// For finding it.
    pub labels: Vec<String>,
}

/// A driver with its tags.
#[derive(Debug, Clone)]
pub struct Driver<S> {
    id: i64,
    /// Author and name.
    pub key: DriverKey,
    /// Metadata.
    pub metadata: Metadata<S>,
    /// Tags, by name.
    pub tags: Vec<Tag>,
    /// Grows with every change by a client.
    pub revision: i64,
    /// When its first version was pushed.
    pub created_at: Time,
    /// When anything of it last changed.
    pub updated_at: Time,
}

/// A tag and the version it points at.
#[derive(Debug, Clone)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// SHA-256 of the version's script, in hexadecimal digits.
    pub digest: String,
    /// The entry functions that the script defines.
    pub functions: Vec<String>,
    /// When it was last moved.
    pub updated_at: Time,
}

/// A stored version.
#[derive(Debug, Clone)]
pub struct Version {
    driver_id: i64,
    /// What it is.
    pub content: Content,
}

/// A version's script.
#[derive(Debug, Clone)]
pub struct Content {
    /// SHA-256 of the script, in hexadecimal digits.
    pub digest: String,
    /// JavaScript.
    pub script: String,
    /// The entry functions that the script defines.
    pub functions: Vec<String>,
}

/// Adds a version, makes the driver where it is new, and moves the tags.
pub async fn push<S: Serialize + DeserializeOwned>(
    scope: &Scope,
    key: &DriverKey,
    metadata: Metadata<S>,
    version: Content,
    tags: &[String],
) -> Result<Driver<S>> {
    let now = clock::now();
    scope
        .write(async |transaction| {
            let noted = json!({
                "metadata": &metadata, "tags": tags, "digest": &version.digest,
            });
            let driver_id = upsert(scope, &transaction, key, metadata).await?;
            let existing = scope
                .find::<driver_version::Entity>()
                .filter(driver_version::Column::DriverId.eq(driver_id))
                .filter(driver_version::Column::Digest.eq(&version.digest))
                .select_only()
                .column(driver_version::Column::Id)
                .into_tuple::<i64>()
                .one(&*transaction)
                .await?;
            let version_id = match existing {
                Some(id) => id,
                None => {
                    driver_version::ActiveModel {
                        tenant_id: Set(scope.tenant.0),
                        driver_id: Set(driver_id),
                        digest: Set(version.digest),
                        script: Set(version.script),
                        functions: Set(json!(version.functions)),
                        created_at: Set(now),
                        ..Default::default()
                    }
                    .insert(&*transaction)
                    .await?
                    .id
                }
            };
            let tags = tags.iter().map(|tag| driver_tag::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                driver_id: Set(driver_id),
                name: Set(tag.clone()),
                version_id: Set(version_id),
                updated_at: Set(now),
            });
            let moved =
                OnConflict::columns([driver_tag::Column::DriverId, driver_tag::Column::Name])
                    .update_columns([driver_tag::Column::VersionId, driver_tag::Column::UpdatedAt])
                    .to_owned();
            driver_tag::Entity::insert_many(tags)
                .on_conflict(moved)
                .exec_without_returning(&*transaction)
                .await?;
            drop_untagged(scope, &transaction, driver_id).await?;
            scope
                .note_created(&transaction, subject(RESOURCE, key), &noted)
                .await
        })
        .await?;
    get(scope, key).await
}

/// One driver.
pub async fn get<S: DeserializeOwned>(scope: &Scope, key: &DriverKey) -> Result<Driver<S>> {
    let found = scope
        .find::<driver::Entity>()
        .filter(driver::Column::Author.eq(&key.author))
        .filter(driver::Column::Name.eq(&key.name))
        .one(scope.reader())
        .await?
        .ok_or_else(|| missing(key))?;
    let mut drivers = with_tags(scope, vec![found]).await?;
    drivers.pop().ok_or_else(|| missing(key))
}

/// The version that a tag points at, where there is one.
pub async fn find_version(scope: &Scope, key: &DriverKey, tag: &str) -> Result<Option<Version>> {
    let found = scope
        .find::<driver_version::Entity>()
        .inner_join(driver_tag::Entity)
        .inner_join(driver::Entity)
        .filter(driver::Column::Author.eq(&key.author))
        .filter(driver::Column::Name.eq(&key.name))
        .filter(driver_tag::Column::Name.eq(tag))
        .one(scope.reader())
        .await?;
    found.map(Version::try_from).transpose()
}

/// Whether the driver has this tag.
pub async fn has_tag(scope: &Scope, key: &DriverKey, tag: &str) -> Result<bool> {
    let found: Option<i64> = scope
        .find::<driver_tag::Entity>()
        .inner_join(driver::Entity)
        .filter(driver::Column::Author.eq(&key.author))
        .filter(driver::Column::Name.eq(&key.name))
        .filter(driver_tag::Column::Name.eq(tag))
        .select_only()
        .column(driver_tag::Column::DriverId)
        .into_tuple()
        .one(scope.reader())
        .await?;
    Ok(found.is_some())
}

/// Replaces the metadata.
pub async fn update<S: Serialize + DeserializeOwned>(
    scope: &Scope,
    key: &DriverKey,
    metadata: Metadata<S>,
) -> Result<Driver<S>> {
    scope
        .write(async |transaction| {
            let before = lock(scope, &transaction, key).await?;
            let mut changed = columns(scope, key, &metadata);
            changed.revision = Set(before.revision + 1);
            scope
                .update::<driver::Entity>()
                .set(changed)
                .filter(driver::Column::Id.eq(before.id))
                .exec(&*transaction)
                .await?;
            let before = Metadata::<S>::try_from(before)?;
            scope
                .note_changed(&transaction, subject(RESOURCE, key), &before, &metadata)
                .await
        })
        .await?;
    get(scope, key).await
}

/// Removes a driver that no device uses; answers what was removed.
pub async fn delete<S: Serialize + DeserializeOwned>(
    scope: &Scope,
    key: &DriverKey,
) -> Result<Driver<S>> {
    let driver: Driver<S> = get(scope, key).await?;
    let own = format!("{}/{}", key.author, key.name);
    scope
        .write(async |transaction| {
            lock(scope, &transaction, key).await?;
            refuse_used(
                scope,
                &transaction,
                &own,
                device::Column::Driver
                    .eq(&own)
                    .or(device::Column::Driver.starts_with(format!("{own}:"))),
            )
            .await?;
            scope
                .delete::<driver::Entity>()
                .filter(driver::Column::Id.eq(driver.id))
                .exec(&*transaction)
                .await?;
            scope
                .note_deleted(&transaction, subject(RESOURCE, key), &driver.metadata)
                .await
        })
        .await?;
    Ok(driver)
}

/// Removes a tag that no device uses, and its version when no other tag points at it; answers the
/// version that it pointed at.
pub async fn delete_tag(scope: &Scope, key: &DriverKey, tag: &str) -> Result<Version> {
    let own = format!("{}/{}:{tag}", key.author, key.name);
    let gone = || Error::missing("driver tag", &own);
    let version = find_version(scope, key, tag).await?.ok_or_else(gone)?;
    scope
        .write(async |transaction| {
            let mut used = device::Column::Driver.eq(&own);
            if tag == "latest" {
                used = used.or(device::Column::Driver.eq(format!("{}/{}", key.author, key.name)));
            }
            refuse_used(scope, &transaction, &own, used).await?;
            let deleted = scope
                .delete::<driver_tag::Entity>()
                .filter(driver_tag::Column::DriverId.eq(version.driver_id))
                .filter(driver_tag::Column::Name.eq(tag))
                .exec(&*transaction)
                .await?;
            met(deleted.rows_affected, gone)?;
            drop_untagged(scope, &transaction, version.driver_id).await?;
            scope
                .update::<driver::Entity>()
                .col_expr(
                    driver::Column::Revision,
                    Expr::col(driver::Column::Revision).add(1),
                )
                .filter(driver::Column::Id.eq(version.driver_id))
                .exec(&*transaction)
                .await?;
            let noted = json!({"tag": tag, "digest": &version.content.digest});
            scope
                .note_deleted(&transaction, subject(RESOURCE, key), &noted)
                .await
        })
        .await?;
    Ok(version)
}

async fn refuse_used(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    what: &str,
    used: sea_orm::sea_query::SimpleExpr,
) -> Result<()> {
    use sea_orm::PaginatorTrait;
    let devices = scope
        .find::<device::Entity>()
        .filter(used)
        .count(transaction)
        .await?;
    if devices == 0 {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "driver {what} is in use by {devices} device(s): give them another driver first"
    )))
}

/// Adds the driver or changes its metadata, in one statement: of two pushes at once the second
/// waits here for the first.
async fn upsert<S: Serialize>(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    key: &DriverKey,
    metadata: Metadata<S>,
) -> Result<i64> {
    use driver::Column;
    let mut columns = columns(scope, key, &metadata);
    columns.created_at = columns.updated_at.clone();
    let changed = OnConflict::columns([Column::TenantId, Column::Author, Column::Name])
        .update_columns([
            Column::UpdatedAt,
            Column::Description,
            Column::Supports,
            Column::Labels,
        ])
        .value(
            Column::Revision,
            Expr::col((driver::Entity, Column::Revision)).add(1),
        )
        .to_owned();
    driver::Entity::insert(columns)
        .on_conflict(changed)
        .exec_without_returning(transaction)
        .await?;
    let id = scope
        .find::<driver::Entity>()
        .filter(Column::Author.eq(&key.author))
        .filter(Column::Name.eq(&key.name))
        .select_only()
        .column(Column::Id)
        .into_tuple::<i64>()
        .one(transaction)
        .await?;
    id.ok_or_else(|| missing(key))
}

fn columns<S: Serialize>(
    scope: &Scope,
    key: &DriverKey,
    metadata: &Metadata<S>,
) -> driver::ActiveModel {
    driver::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        updated_at: Set(clock::now()),
        author: Set(key.author.clone()),
        name: Set(key.name.clone()),
        description: Set(metadata.description.clone()),
        supports: Set(json!(&metadata.supports)),
        labels: Set(json!(&metadata.labels)),
        ..Default::default()
    }
}

/// A version is reachable by its tags alone; without one it is only weight.
async fn drop_untagged(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    driver_id: i64,
) -> Result<()> {
    let tagged = scope
        .find::<driver_tag::Entity>()
        .filter(driver_tag::Column::DriverId.eq(driver_id))
        .select_only()
        .column(driver_tag::Column::VersionId)
        .into_tuple::<i64>()
        .all(transaction)
        .await?;
    scope
        .delete::<driver_version::Entity>()
        .filter(driver_version::Column::DriverId.eq(driver_id))
        .filter(driver_version::Column::Id.is_not_in(tagged))
        .exec(transaction)
        .await?;
    Ok(())
}

/// The drivers with their tags, in their order.
pub(super) async fn with_tags<S: DeserializeOwned>(
    scope: &Scope,
    models: Vec<driver::Model>,
) -> Result<Vec<Driver<S>>> {
    let tags: Vec<(i64, String, String, serde_json::Value, Time)> = scope
        .find::<driver_tag::Entity>()
        .inner_join(driver_version::Entity)
        .filter(driver_tag::Column::DriverId.is_in(models.iter().map(|model| model.id)))
        .order_by_asc(driver_tag::Column::Name)
        .select_only()
        .column(driver_tag::Column::DriverId)
        .column(driver_tag::Column::Name)
        .column(driver_version::Column::Digest)
        .column(driver_version::Column::Functions)
        .column(driver_tag::Column::UpdatedAt)
        .into_tuple()
        .all(scope.reader())
        .await?;
    let mut drivers = Vec::with_capacity(models.len());
    for model in models {
        let mut own = Vec::new();
        for (driver_id, name, digest, functions, updated_at) in &tags {
            if *driver_id == model.id {
                own.push(Tag {
                    name: name.clone(),
                    digest: digest.clone(),
                    functions: serde_json::from_value(functions.clone())
                        .map_err(Error::internal)?,
                    updated_at: *updated_at,
                });
            }
        }
        drivers.push(Driver {
            id: model.id,
            key: DriverKey {
                author: model.author.clone(),
                name: model.name.clone(),
            },
            tags: own,
            revision: model.revision,
            created_at: model.created_at,
            updated_at: model.updated_at,
            metadata: model.try_into()?,
        });
    }
    Ok(drivers)
}

async fn lock(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    key: &DriverKey,
) -> Result<driver::Model> {
    let which = Condition::all()
        .add(driver::Column::Author.eq(&key.author))
        .add(driver::Column::Name.eq(&key.name));
    scope
        .lock::<driver::Entity>(transaction, which, || missing(key))
        .await
}

fn missing(key: &DriverKey) -> Error {
    Error::missing("driver", key)
}

impl std::fmt::Display for DriverKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.author, self.name)
    }
}

impl<S: DeserializeOwned> TryFrom<driver::Model> for Metadata<S> {
    type Error = Error;

    fn try_from(model: driver::Model) -> Result<Self> {
        Ok(Self {
            description: model.description,
            supports: serde_json::from_value(model.supports).map_err(Error::internal)?,
            labels: serde_json::from_value(model.labels).map_err(Error::internal)?,
        })
    }
}

impl TryFrom<driver_version::Model> for Version {
    type Error = Error;

    fn try_from(model: driver_version::Model) -> Result<Self> {
        Ok(Self {
            driver_id: model.driver_id,
            content: Content {
                digest: model.digest,
                script: model.script,
                functions: serde_json::from_value(model.functions).map_err(Error::internal)?,
            },
        })
    }
}
