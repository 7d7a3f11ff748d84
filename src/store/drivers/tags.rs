//! Tags: movable names of a driver's versions, and the history of their moves.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::OnConflict,
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
            picked,
            rows::{self, RESOURCE},
            usage::{self, Users},
            versions::{self, Version},
        },
        entities::{driver_tag, driver_tag_move, driver_version},
    },
};

pub use super::tag::Tag;

/// Tag with the complete version that it points at.
#[derive(Debug, Clone)]
pub struct Tagged {
    /// Name of the tag.
    pub name: String,
    /// Revision, which grows with every move.
    pub revision: i64,
    /// Time of the last move.
    pub updated_at: Time,
    /// Version that the tag points at.
    pub version: Version,
}

/// Move of a tag.
#[derive(Debug, Clone)]
pub struct Move {
    /// Revision of the tag after the move.
    pub revision: i64,
    /// Digest of the version that it points at after the move; `None` if the tag was deleted.
    pub digest: Option<String>,
    /// Time of the move.
    pub moved_at: Time,
    /// Name of the user or the API key; `None` if unknown.
    pub moved_by: Option<String>,
}

/// Returns a tag with its version.
pub async fn get(scope: &Scope, key: &DriverKey, name: &str) -> Result<Tagged> {
    read(scope, scope.reader(), key, name).await
}

async fn read(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    key: &DriverKey,
    name: &str,
) -> Result<Tagged> {
    let pick = Pick::Tag(name.to_owned());
    let gone = || picked::missing(key, &pick);
    let driver = rows::find(scope, connection, key).await?;
    let driver = driver.ok_or_else(gone)?;
    let tag = scope
        .find::<driver_tag::Entity>()
        .filter(driver_tag::Column::DriverId.eq(driver.id))
        .filter(driver_tag::Column::Name.eq(name))
        .one(connection)
        .await?
        .ok_or_else(gone)?;
    let version = versions::read(scope, connection, key, &pick).await?;
    Ok(Tagged {
        name: tag.name,
        revision: tag.revision,
        updated_at: tag.updated_at,
        version: version.ok_or_else(gone)?,
    })
}

/// Creates or moves a tag to a version of the driver.
pub async fn put(scope: &Scope, key: &DriverKey, name: &str, digest: &str) -> Result<Tagged> {
    scope
        .write(async |transaction| {
            let driver = rows::hold(scope, &transaction, key).await?;
            let before = revision_and_digest(scope, &transaction, driver.id, name).await?;
            // A missing tag has no revision that a client could have seen.
            scope.check_revision(before.as_ref().map_or(0, |(revision, _)| *revision))?;
            let pick = Pick::Digest(digest.to_owned());
            let version = picked::find_id(scope, &*transaction, key, &pick).await?;
            let version = version.ok_or_else(|| {
                Error::of_field(
                    Reason::UnknownReference,
                    "digest",
                    format!("there is no version {digest} of driver {key}"),
                )
            })?;
            let names = [name.to_owned()];
            point(scope, &transaction, driver.id, &names, (version, digest)).await?;
            rows::touch(scope, &transaction, driver.id).await?;
            let after = json!({"tag": name, "digest": digest});
            let subject = subject(RESOURCE, key);
            match before {
                Some((_, digest)) => {
                    let before = json!({"tag": name, "digest": digest});
                    scope
                        .note_changed(&transaction, subject, &before, &after)
                        .await?;
                }
                None => scope.note_created(&transaction, subject, &after).await?,
            }
            read(scope, &*transaction, key, name).await
        })
        .await
}

/// Deletes a tag that no device uses and returns it; the version stays.
pub async fn delete(scope: &Scope, key: &DriverKey, name: &str) -> Result<Tagged> {
    scope
        .write(async |transaction| {
            let driver = rows::find_held(scope, &transaction, key).await?;
            let pick = Pick::Tag(name.to_owned());
            let driver = driver.ok_or_else(|| picked::missing(key, &pick))?;
            let tagged = read(scope, &*transaction, key, name).await?;
            scope.check_revision(tagged.revision)?;
            usage::refuse_used(scope, &transaction, key, Users::Tag(name)).await?;
            scope
                .delete::<driver_tag::Entity>()
                .filter(driver_tag::Column::DriverId.eq(driver.id))
                .filter(driver_tag::Column::Name.eq(name))
                .exec(&*transaction)
                .await?;
            let moved = moved(scope, driver.id, name, tagged.revision + 1, None);
            driver_tag_move::Entity::insert(moved)
                .exec_without_returning(&*transaction)
                .await?;
            rows::touch(scope, &transaction, driver.id).await?;
            let noted = json!({"tag": name, "digest": tagged.version.content.digest});
            scope
                .note_deleted(&transaction, subject(RESOURCE, key), &noted)
                .await?;
            Ok(tagged)
        })
        .await
}

/// Returns a page of a tag's moves, newest first; also works for a deleted tag.
pub async fn history(
    scope: &Scope,
    key: &DriverKey,
    name: &str,
    stretch: &Stretch,
) -> Result<Page<Move, Place>> {
    use driver_tag_move::Column;
    let missing = || picked::missing(key, &Pick::Tag(name.to_owned()));
    let driver = rows::find(scope, scope.reader(), key).await?;
    let driver = driver.ok_or_else(missing)?;
    let query = scope
        .find::<driver_tag_move::Entity>()
        .filter(Column::DriverId.eq(driver.id))
        .filter(Column::Tag.eq(name));
    let total = listing::total(scope, &query, stretch).await?;
    let order = Order::by_key(Column::Revision.into_expr(), true);
    let found = order.of(query, stretch)?.all(scope.reader()).await?;
    if found.is_empty() && stretch.after.is_none() {
        return Err(missing());
    }
    let page = Page::cut(found, stretch.limit, |model| Place::of_key(model.revision));
    Ok(page.of(total).map(|model| Move {
        revision: model.revision,
        digest: model.digest,
        moved_at: model.moved_at,
        moved_by: model.moved_by,
    }))
}

/// Points the tags at a version, and records the moves. The caller has locked the driver's row, which excludes
/// concurrent moves.
pub(in crate::store) async fn point(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    driver_id: i64,
    names: &[String],
    (version, digest): (i64, &str),
) -> Result<()> {
    use driver_tag::Column;
    let there: Vec<String> = scope
        .find::<driver_tag::Entity>()
        .filter(Column::DriverId.eq(driver_id))
        .filter(Column::VersionId.eq(version))
        .filter(Column::Name.is_in(names))
        .select_only()
        .column(Column::Name)
        .into_tuple()
        .all(transaction)
        .await?;
    let last = last_revisions(scope, transaction, driver_id, names).await?;
    let (mut tags, mut moves) = (Vec::new(), Vec::new());
    for name in names.iter().filter(|name| !there.contains(*name)) {
        let revision = last.get(name).copied().unwrap_or(0) + 1;
        tags.push(driver_tag::ActiveModel {
            tenant_id: Set(scope.tenant.0),
            driver_id: Set(driver_id),
            name: Set(name.clone()),
            version_id: Set(version),
            updated_at: Set(scope.now()),
            revision: Set(revision),
        });
        moves.push(moved(scope, driver_id, name, revision, Some(digest)));
    }
    if tags.is_empty() {
        return Ok(());
    }
    let moved = OnConflict::columns([Column::DriverId, Column::Name])
        .update_columns([Column::VersionId, Column::UpdatedAt, Column::Revision])
        .to_owned();
    driver_tag::Entity::insert_many(tags)
        .on_conflict(moved)
        .exec_without_returning(transaction)
        .await?;
    driver_tag_move::Entity::insert_many(moves)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

/// Returns the last revision of each tag. A recreated tag continues from it, so that an ETag from before never
/// matches again.
async fn last_revisions(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    driver_id: i64,
    names: &[String],
) -> Result<HashMap<String, i64>> {
    use driver_tag_move::Column;
    let found: Vec<(String, i64)> = scope
        .find::<driver_tag_move::Entity>()
        .filter(Column::DriverId.eq(driver_id))
        .filter(Column::Tag.is_in(names))
        .select_only()
        .column(Column::Tag)
        .column_as(Column::Revision.max(), "revision")
        .group_by(Column::Tag)
        .into_tuple()
        .all(transaction)
        .await?;
    Ok(found.into_iter().collect())
}

fn moved(
    scope: &Scope,
    driver_id: i64,
    name: &str,
    revision: i64,
    digest: Option<&str>,
) -> driver_tag_move::ActiveModel {
    driver_tag_move::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        driver_id: Set(driver_id),
        tag: Set(name.to_owned()),
        revision: Set(revision),
        digest: Set(digest.map(ToOwned::to_owned)),
        moved_at: Set(scope.now()),
        moved_by: Set(scope.call.as_ref().map(|call| call.name.clone())),
    }
}

/// Returns a tag's revision and digest, if the driver has the tag.
async fn revision_and_digest(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    driver_id: i64,
    name: &str,
) -> Result<Option<(i64, String)>> {
    let found = scope
        .find::<driver_tag::Entity>()
        .inner_join(driver_version::Entity)
        .filter(driver_tag::Column::DriverId.eq(driver_id))
        .filter(driver_tag::Column::Name.eq(name))
        .select_only()
        .column(driver_tag::Column::Revision)
        .column(driver_version::Column::Digest)
        .into_tuple()
        .one(transaction)
        .await?;
    Ok(found)
}
