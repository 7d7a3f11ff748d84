//! The immutable versions of drivers: what is in them, and what still needs them.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, PaginatorTrait, QueryFilter,
    QuerySelect,
};
use serde_json::json;

use crate::{
    clock::{self, Time},
    error::{Error, Result},
    reference::{DriverKey, Pick},
    store::{
        core::{
            audit::subject,
            listing::{self, Order, Place, Stretch},
            page::Page,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        drivers::{
            picked::{find_id, missing, picked},
            rows::{self, RESOURCE},
            tag,
            usage::{self, Users},
        },
        entities::driver_version,
    },
};

/// Versions that a driver may have.
pub const VERSIONS_MAX: u64 = 1_000;

/// What a version is: all that its digest covers, and what was found in it.
#[derive(Debug, Clone)]
pub struct Content {
    /// What it is called by: SHA-256 of its manifest, with its prefix.
    pub digest: String,
    /// SHA-256 of the script alone, in hexadecimal digits.
    pub script_digest: String,
    /// JavaScript.
    pub script: String,
    /// What it decodes to, as JSON.
    pub schema: Option<String>,
    /// What it must make of which input, as JSON.
    pub examples: Option<String>,
    /// The entry functions that the script defines.
    pub functions: Vec<String>,
}

/// What is told of a version in a list.
#[derive(Debug, Clone)]
pub struct Summary {
    id: i64,
    /// What it is called by.
    pub digest: String,
    /// The entry functions that its script defines.
    pub functions: Vec<String>,
    /// Bytes of its script, schema and examples.
    pub size_bytes: i64,
    /// When it was first pushed.
    pub created_at: Time,
    /// The tags that point at it, by name.
    pub tags: Vec<String>,
}

/// A stored version.
#[derive(Debug, Clone)]
pub struct Version {
    /// What it is.
    pub content: Content,
    /// Bytes of its script, schema and examples.
    pub size_bytes: i64,
    /// When it was first pushed.
    pub created_at: Time,
    /// The tags that point at it, by name.
    pub tags: Vec<String>,
}

impl Content {
    fn size_bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.script.len() + length(&self.schema) + length(&self.examples)
    }
}

/// Adds a version unless it is there already; answers its key.
pub(in crate::store) async fn put(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    driver_id: i64,
    key: &DriverKey,
    content: &Content,
) -> Result<i64> {
    let own = || {
        scope
            .find::<driver_version::Entity>()
            .filter(driver_version::Column::DriverId.eq(driver_id))
    };
    let existing = own()
        .filter(driver_version::Column::Digest.eq(&content.digest))
        .select_only()
        .column(driver_version::Column::Id)
        .into_tuple::<i64>()
        .one(transaction)
        .await?;
    if let Some(id) = existing {
        return Ok(id);
    }
    if own().count(transaction).await? >= VERSIONS_MAX {
        return Err(Error::Conflict(format!(
            "driver {key} has {VERSIONS_MAX} versions already: delete some that nothing needs first"
        )));
    }
    let made = driver_version::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        driver_id: Set(driver_id),
        size_bytes: Set(i64::try_from(content.size_bytes()).unwrap_or(i64::MAX)),
        digest: Set(content.digest.clone()),
        script_digest: Set(content.script_digest.clone()),
        script: Set(content.script.clone()),
        schema: Set(content.schema.clone()),
        examples: Set(content.examples.clone()),
        functions: Set(json!(content.functions)),
        created_at: Set(clock::now()),
        ..Default::default()
    };
    Ok(made.insert(transaction).await?.id)
}

/// A stretch of a driver's versions, the newest first.
pub async fn list(
    scope: &Scope,
    key: &DriverKey,
    stretch: &Stretch,
) -> Result<Page<Summary, Place>> {
    use driver_version::Column;
    let driver = rows::find(scope, scope.reader(), key).await?;
    let driver = driver.ok_or_else(|| rows::missing(key))?;
    let query = scope
        .find::<driver_version::Entity>()
        .filter(Column::DriverId.eq(driver.id));
    let total = listing::total(scope, &query, stretch).await?;
    let order = Order::by_key(Column::Id.into_expr(), true);
    let found: Vec<(i64, String, serde_json::Value, i64, Time)> = order
        .of(query, stretch)?
        .select_only()
        .columns([
            Column::Id,
            Column::Digest,
            Column::Functions,
            Column::SizeBytes,
            Column::CreatedAt,
        ])
        .into_tuple()
        .all(scope.reader())
        .await?;
    let ids = found.iter().map(|(id, ..)| *id);
    let mut tags = tag::of_versions(scope, scope.reader(), ids).await?;
    let mut versions = Vec::with_capacity(found.len());
    for (id, digest, functions, size_bytes, created_at) in found {
        versions.push(Summary {
            id,
            digest,
            functions: serde_json::from_value(functions).map_err(Error::internal)?,
            size_bytes,
            created_at,
            tags: tags.remove(&id).unwrap_or_default(),
        });
    }
    let page = Page::cut(versions, stretch.limit, |version| Place::of_key(version.id));
    Ok(page.of(total))
}

/// The version that a tag or a digest picks, where there is one.
pub async fn find(scope: &Scope, key: &DriverKey, pick: &Pick) -> Result<Option<Version>> {
    read(scope, scope.reader(), key, pick).await
}

pub(in crate::store) async fn read(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    key: &DriverKey,
    pick: &Pick,
) -> Result<Option<Version>> {
    let Some(found) = picked(scope, key, pick).one(connection).await? else {
        return Ok(None);
    };
    let mut tags = tag::of_versions(scope, connection, [found.id]).await?;
    let tags = tags.remove(&found.id).unwrap_or_default();
    Version::new(found, tags).map(Some)
}

/// The same, where there must be one.
pub async fn get(scope: &Scope, key: &DriverKey, pick: &Pick) -> Result<Version> {
    let found = find(scope, key, pick).await?;
    found.ok_or_else(|| missing(key, pick))
}

/// The digest of the version that a tag or a digest picks, where there is one.
pub async fn find_digest(scope: &Scope, key: &DriverKey, pick: &Pick) -> Result<Option<String>> {
    let found = picked(scope, key, pick)
        .select_only()
        .column(driver_version::Column::Digest)
        .into_tuple()
        .one(scope.reader())
        .await?;
    Ok(found)
}

/// Removes a version that nothing needs; answers what was removed.
pub async fn delete(scope: &Scope, key: &DriverKey, digest: &str) -> Result<Version> {
    let pick = Pick::Digest(digest.to_owned());
    let gone = || missing(key, &pick);
    scope
        .write(async |transaction| {
            // A push that moves a tag here, or a tag that is moved, waits until it is decided.
            let driver = rows::find_held(scope, &transaction, key).await?;
            driver.ok_or_else(gone)?;
            let id = find_id(scope, &*transaction, key, &pick).await?;
            let id = id.ok_or_else(gone)?;
            let version = read(scope, &*transaction, key, &pick).await?;
            let version = version.ok_or_else(gone)?;
            let users = Users::Version(digest, &version.tags);
            usage::refuse_used(scope, &transaction, key, users).await?;
            scope
                .delete::<driver_version::Entity>()
                .filter(driver_version::Column::Id.eq(id))
                .exec(&*transaction)
                .await?;
            let noted = json!({"digest": digest, "functions": &version.content.functions});
            scope
                .note_deleted(&transaction, subject(RESOURCE, key), &noted)
                .await?;
            Ok(version)
        })
        .await
}

impl Version {
    fn new(model: driver_version::Model, tags: Vec<String>) -> Result<Self> {
        let driver_version::Model {
            tenant_id: _,
            id: _,
            driver_id: _,
            digest,
            script,
            functions,
            created_at,
            script_digest,
            schema,
            examples,
            size_bytes,
        } = model;
        Ok(Self {
            content: Content {
                digest,
                script_digest,
                script,
                schema,
                examples,
                functions: serde_json::from_value(functions).map_err(Error::internal)?,
            },
            size_bytes,
            created_at,
            tags,
        })
    }
}
