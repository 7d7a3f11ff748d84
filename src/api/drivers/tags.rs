//! Tags of a driver and their history.

use poem::Result;
use poem_openapi::{Object, OpenApi, param::Path};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        drivers::{resource::key, versions::VersionView},
        http::{
            answer::{Found, Revised, Single},
            body::Body,
            caller::Caller,
            page::Listed,
            paging::Paging,
            types::{Count, Timestamp},
        },
        tag::Tag,
    },
    error::Error,
    reference::{DriverDigest, DriverKey},
    store::drivers::tags::{self, Move, Tagged},
    text::{DriverAuthor, DriverName, DriverTag},
};

/// Where a tag is to point
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct DriverTagUpdate {
    /// The version's digest
    digest: DriverDigest,
}

/// A tag with the version that it points at
#[derive(Object, Serialize)]
#[oai(rename = "TaggedDriverVersion")]
struct TaggedView {
    /// The tag
    tag: String,
    /// Grows with every move of the tag; it is the ETag
    revision: Count,
    /// When the tag was last moved
    updated_at: Timestamp,
    #[oai(flatten)]
    #[serde(flatten)]
    version: VersionView,
}

/// That a tag was moved
#[derive(Object, Serialize)]
#[oai(rename = "DriverTagMove")]
struct MoveView {
    /// The tag's revision from then on
    revision: Count,
    /// The version that the tag pointed at from then on; null: the tag was deleted. The version may be gone by now
    digest: Option<String>,
    /// When it was moved
    moved_at: Timestamp,
    /// The name of the user or the API key that moved it; null where nobody wrote it down
    moved_by: Option<String>,
}

/// Endpoints of `drivers/{author}/{name}/tags`.
pub struct DriverTagsApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Drivers")]
impl DriverTagsApi {
    /// Get the version that a tag points at
    ///
    /// With its script, schema and examples.
    #[oai(
        path = "/drivers/:author/:name/tags/:tag",
        method = "get",
        operation_id = "get_driver_tag"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
        /// The tag
        tag: Path<DriverTag>,
    ) -> Result<Single<TaggedView>> {
        let key = key(author.0, name.0);
        let tagged = tags::get(caller.scope(), &key, &tag.0).await?;
        Ok(Single(TaggedView::new(key, tagged)?))
    }

    /// Make or move a tag
    ///
    /// The tag points at the version from now on, whether it is new or pointed elsewhere: this is how
    /// a version is rolled out, and rolled back. Devices whose driver names the tag use the version
    /// from their next uplink on.
    #[oai(
        path = "/drivers/:author/:name/tags/:tag",
        method = "put",
        operation_id = "update_driver_tag"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
        /// The tag
        tag: Path<DriverTag>,
        body: Body<DriverTagUpdate>,
    ) -> Result<Single<TaggedView>> {
        let key = key(author.0, name.0);
        let tagged = tags::put(caller.scope(), &key, &tag.0, &body.0.digest).await?;
        Ok(Single(TaggedView::new(key, tagged)?))
    }

    /// Delete a driver's tag
    ///
    /// Refused while a device's driver names it. The version that it pointed at stays. Answers the tag
    /// as it was.
    #[oai(
        path = "/drivers/:author/:name/tags/:tag",
        method = "delete",
        operation_id = "delete_driver_tag"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
        /// The tag
        tag: Path<DriverTag>,
    ) -> Result<Found<TaggedView>> {
        let key = key(author.0, name.0);
        let tagged = tags::delete(caller.scope(), &key, &tag.0).await?;
        Ok(Found(TaggedView::new(key, tagged)?))
    }

    /// List where a tag pointed
    ///
    /// Each move with the version, the time and who moved it, the newest first. What is told of a tag
    /// outlives the tag.
    #[oai(
        path = "/drivers/:author/:name/tags/:tag/history",
        method = "get",
        operation_id = "list_driver_tag_moves"
    )]
    async fn list_moves(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
        /// The tag
        tag: Path<DriverTag>,
        paging: Paging,
    ) -> Result<Listed<MoveView>> {
        let (key, tag) = (key(author.0, name.0), tag.0);
        let window = paging.window()?;
        let page = tags::history(caller.scope(), &key, &tag, &window.stretch).await?;
        Ok(window.answer(page, MoveView::from)?)
    }
}

impl TaggedView {
    fn new(key: DriverKey, tagged: Tagged) -> Result<Self, Error> {
        let Tagged {
            name,
            revision,
            updated_at,
            version,
        } = tagged;
        Ok(Self {
            tag: name,
            revision: Count::saturating(revision),
            updated_at: Timestamp(updated_at),
            version: VersionView::new(key, version)?,
        })
    }
}

impl Revised for TaggedView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}

impl From<Move> for MoveView {
    fn from(moved: Move) -> Self {
        Self {
            revision: Count::saturating(moved.revision),
            digest: moved.digest,
            moved_at: Timestamp(moved.moved_at),
            moved_by: moved.moved_by,
        }
    }
}
