//! Drivers: names, metadata and pushes.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    clock::Time,
    error::{Error, Result},
    reference::DriverKey,
    store::{
        core::{audit::subject, scope::Scope, transaction::DatabaseTransaction},
        drivers::{
            rows::{RESOURCE, called, find, missing},
            tag::Tag,
            usage::Users,
            versions::Content,
        },
        entities::driver,
    },
};

pub mod list;
pub(in crate::store) mod picked;
pub(in crate::store) mod rows;
pub(in crate::store) mod tag;
pub mod tags;
pub mod usage;
pub mod versions;

/// Identifier of all built-in drivers, which are not in the database.
const BESIDE: i64 = 0;

/// Metadata of a driver, apart from its script. `S` is one entry of `supports`.
#[derive(Debug, Clone, Serialize)]
pub struct Metadata<S> {
    /// Description for people.
    pub description: String,
    /// Supported devices.
    pub supports: Vec<S>,
    /// Labels for searching.
    pub labels: Vec<String>,
}

/// Driver with its tags.
#[derive(Debug, Clone)]
pub struct Driver<S> {
    id: i64,
    /// Author and name.
    pub key: DriverKey,
    /// Metadata of the driver.
    pub metadata: Metadata<S>,
    /// Tags, ordered by name.
    pub tags: Vec<Tag>,
    /// Revision, which grows with every change by a client.
    pub revision: i64,
    /// Time at which the first version was pushed.
    pub created_at: Time,
    /// Time of the last change of anything in it.
    pub updated_at: Time,
}

impl<S> Driver<S> {
    /// Returns a built-in driver, which is not in the database and exists in every tenant. It sorts before others of
    /// the same age.
    pub fn beside(key: DriverKey, metadata: Metadata<S>, made: Time) -> Self {
        Self {
            id: BESIDE,
            key,
            metadata,
            tags: Vec::new(),
            revision: 1,
            created_at: made,
            updated_at: made,
        }
    }

    /// Returns the key for references inside the hub; smallest for built-in drivers.
    pub(super) fn id(&self) -> i64 {
        self.id
    }

    /// True for built-in drivers, which are not in the database.
    pub fn is_beside(&self) -> bool {
        self.id == BESIDE
    }
}

/// Version to add, with the tags that will point at it.
#[derive(Debug, Clone)]
pub struct Release {
    /// Version to add.
    pub version: Content,
    /// Tags; existing ones are moved.
    pub tags: Vec<String>,
}

/// Adds versions, creates the driver if it is new, and moves the tags, in one transaction.
pub async fn push<S: Serialize + DeserializeOwned>(
    scope: &Scope,
    key: &DriverKey,
    metadata: Metadata<S>,
    releases: &[Release],
) -> Result<Driver<S>> {
    scope
        .write(async |transaction| {
            let noted: Vec<_> = releases
                .iter()
                .map(|release| json!({"digest": release.version.digest, "tags": release.tags}))
                .collect();
            let noted = json!({"metadata": &metadata, "versions": noted});
            let driver_id = upsert(scope, &transaction, key, metadata).await?;
            for Release { version, tags } in releases {
                let id = versions::put(scope, &transaction, driver_id, key, version).await?;
                let version = (id, version.digest.as_str());
                tags::point(scope, &transaction, driver_id, tags, version).await?;
            }
            scope
                .note_created(&transaction, subject(RESOURCE, key), &noted)
                .await?;
            read(scope, &*transaction, key).await
        })
        .await
}

/// Returns a driver.
pub async fn get<S: DeserializeOwned>(scope: &Scope, key: &DriverKey) -> Result<Driver<S>> {
    read(scope, scope.reader(), key).await
}

async fn read<S: DeserializeOwned>(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    key: &DriverKey,
) -> Result<Driver<S>> {
    let found = find(scope, connection, key).await?;
    let found = found.ok_or_else(|| missing(key))?;
    let mut drivers = with_tags(scope, connection, vec![found]).await?;
    drivers.pop().ok_or_else(|| missing(key))
}

/// Replaces a driver's metadata.
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
            let updated = scope
                .update::<driver::Entity>()
                .set(changed)
                .filter(driver::Column::Id.eq(before.id))
                .exec_with_returning(&*transaction)
                .await?;
            let before = Metadata::<S>::try_from(before)?;
            scope
                .note_changed(&transaction, subject(RESOURCE, key), &before, &metadata)
                .await?;
            let mut drivers = with_tags(scope, &*transaction, updated).await?;
            drivers.pop().ok_or_else(|| missing(key))
        })
        .await
}

/// Removes a driver that no device uses and returns it.
pub async fn delete<S: Serialize + DeserializeOwned>(
    scope: &Scope,
    key: &DriverKey,
) -> Result<Driver<S>> {
    scope
        .write(async |transaction| {
            let model = lock(scope, &transaction, key).await?;
            let mut drivers = with_tags(scope, &*transaction, vec![model]).await?;
            let driver: Driver<S> = drivers.pop().ok_or_else(|| missing(key))?;
            usage::refuse_used(scope, &transaction, key, Users::Driver).await?;
            scope
                .delete::<driver::Entity>()
                .filter(driver::Column::Id.eq(driver.id))
                .exec(&*transaction)
                .await?;
            scope
                .note_deleted(&transaction, subject(RESOURCE, key), &driver.metadata)
                .await?;
            Ok(driver)
        })
        .await
}

/// Adds the driver or updates its metadata in one statement, at which a concurrent push waits.
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
    let found = find(scope, transaction, key).await?;
    Ok(found.ok_or_else(|| missing(key))?.id)
}

fn columns<S: Serialize>(
    scope: &Scope,
    key: &DriverKey,
    metadata: &Metadata<S>,
) -> driver::ActiveModel {
    driver::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        updated_at: Set(scope.now()),
        author: Set(key.author.clone()),
        name: Set(key.name.clone()),
        description: Set(metadata.description.clone()),
        supports: Set(json!(&metadata.supports)),
        labels: Set(json!(&metadata.labels)),
        ..Default::default()
    }
}

/// Returns the drivers with their tags, in their order.
pub(super) async fn with_tags<S: DeserializeOwned>(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    models: Vec<driver::Model>,
) -> Result<Vec<Driver<S>>> {
    let ids = models.iter().map(|model| model.id);
    let mut tags = tag::of_drivers(scope, connection, ids).await?;
    let drivers = models.into_iter().map(|model| {
        Ok(Driver {
            id: model.id,
            key: DriverKey {
                author: model.author.clone(),
                name: model.name.clone(),
            },
            tags: tags.remove(&model.id).unwrap_or_default(),
            revision: model.revision,
            created_at: model.created_at,
            updated_at: model.updated_at,
            metadata: model.try_into()?,
        })
    });
    drivers.collect()
}

/// Locks a driver's row to change it; fails if the client has seen another revision.
async fn lock(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    key: &DriverKey,
) -> Result<driver::Model> {
    scope
        .lock::<driver::Entity>(transaction, called(key), || missing(key))
        .await
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
