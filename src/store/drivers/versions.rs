//! Immutable versions of drivers: their content and their users.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, PaginatorTrait, QueryFilter,
    QuerySelect,
};
use serde_json::json;

use crate::{
    clock::Time,
    error::{Error, Reason, Result},
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

/// Maximum number of versions per driver.
pub const VERSIONS_MAX: u64 = 1_000;

/// Content of a version: everything that its digest covers, and the functions found in it.
#[derive(Debug, Clone)]
pub struct Content {
    /// Digest that identifies the version: SHA-256 of its manifest, with a prefix.
    pub digest: String,
    /// SHA-256 of the script alone, in hexadecimal digits.
    pub script_digest: String,
    /// Script in JavaScript.
    pub script: String,
    /// Schema of the decoded data, as JSON.
    pub schema: Option<String>,
    /// Examples of inputs and their expected outputs, as JSON.
    pub examples: Option<String>,
    /// Entry functions that the script defines.
    pub functions: Vec<String>,
}

/// Summary of a version in a list.
#[derive(Debug, Clone)]
pub struct Summary {
    id: i64,
    /// Digest that identifies the version.
    pub digest: String,
    /// Entry functions that the script defines.
    pub functions: Vec<String>,
    /// Size of script, schema and examples in bytes.
    pub size_bytes: i64,
    /// Time at which it was first pushed.
    pub created_at: Time,
    /// Tags that point at it, ordered by name.
    pub tags: Vec<String>,
}

/// Stored version.
#[derive(Debug, Clone)]
pub struct Version {
    /// Content of the version.
    pub content: Content,
    /// Size of script, schema and examples in bytes.
    pub size_bytes: i64,
    /// Time at which it was first pushed.
    pub created_at: Time,
    /// Tags that point at it, ordered by name.
    pub tags: Vec<String>,
}

impl Content {
    fn size_bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.script.len() + length(&self.schema) + length(&self.examples)
    }
}

/// Adds a version unless it exists already; returns its key.
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
        return Err(Error::rejected(
            Reason::LimitReached,
            format!(
                "driver {key} has {VERSIONS_MAX} versions already: delete some that are not in use first"
            ),
        ));
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
        created_at: Set(scope.now()),
        ..Default::default()
    };
    Ok(made.insert(transaction).await?.id)
}

/// Returns a page of a driver's versions, newest first.
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

/// Returns the version that a tag or a digest identifies, if it exists.
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

/// Returns the version that a tag or a digest identifies; fails if it does not exist.
pub async fn get(scope: &Scope, key: &DriverKey, pick: &Pick) -> Result<Version> {
    let found = find(scope, key, pick).await?;
    found.ok_or_else(|| missing(key, pick))
}

/// Returns the digest of the version that a tag or a digest identifies, if it exists.
pub async fn find_digest(scope: &Scope, key: &DriverKey, pick: &Pick) -> Result<Option<String>> {
    let found = picked(scope, key, pick)
        .select_only()
        .column(driver_version::Column::Digest)
        .into_tuple()
        .one(scope.reader())
        .await?;
    Ok(found)
}

/// Removes a version that nothing uses and returns it.
pub async fn delete(scope: &Scope, key: &DriverKey, digest: &str) -> Result<Version> {
    let pick = Pick::Digest(digest.to_owned());
    let gone = || missing(key, &pick);
    scope
        .write(async |transaction| {
            // The lock makes pushes and moves of tags to this version wait.
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
