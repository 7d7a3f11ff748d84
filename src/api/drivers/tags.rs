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

/// New version of a tag.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct DriverTagUpdate {
    /// Digest of the version that the tag will point at: `sha256:` and 64 hexadecimal digits in lower case.
    digest: DriverDigest,
}

/// Tag of a driver with the version that it points at.
#[derive(Object, Serialize)]
#[oai(rename = "TaggedDriverVersion")]
struct TaggedView {
    /// Name of the tag.
    tag: String,
    /// Number of the revision, which increases with every move of the tag. The `ETag` header contains it.
    revision: Count,
    /// Time at which the tag was last moved.
    updated_at: Timestamp,
    #[oai(flatten)]
    #[serde(flatten)]
    version: VersionView,
}

/// Move of a tag.
#[derive(Object, Serialize)]
#[oai(rename = "DriverTagMove")]
struct MoveView {
    /// Number of the tag's revision after the move.
    revision: Count,
    /// Digest of the version that the tag pointed at after the move; null if the tag was deleted. The version may
    /// no longer exist.
    digest: Option<String>,
    /// Time of the move.
    moved_at: Timestamp,
    /// Name of the user or API key that moved the tag; null if unknown.
    moved_by: Option<String>,
}

/// Endpoints of `drivers/{author}/{name}/tags`.
pub struct DriverTagsApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Drivers")]
impl DriverTagsApi {
    /// Get a driver's tag
    ///
    /// Returns a tag and the version that it points at, with script, schema and examples. Fails with 404 if the
    /// driver or the tag does not exist.
    #[oai(
        path = "/drivers/:author/:name/tags/:tag",
        method = "get",
        operation_id = "get_driver_tag"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Author of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or
        /// digit at both ends.
        author: Path<DriverAuthor>,
        /// Name of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit
        /// at both ends.
        name: Path<DriverName>,
        /// Name of the tag. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit at
        /// both ends.
        tag: Path<DriverTag>,
    ) -> Result<Single<TaggedView>> {
        let key = key(author.0, name.0);
        let tagged = tags::get(caller.scope(), &key, &tag.0).await?;
        Ok(Single(TaggedView::new(key, tagged)?))
    }

    /// Create or move a tag
    ///
    /// Points the tag at a version of the driver, and creates the tag if it does not exist. Use it to roll a version
    /// out or back: devices whose driver names the tag use the version from their next uplink on.
    ///
    /// Fails with 400 if the driver has no version with this digest, and with 404 if the driver does not exist.
    #[oai(
        path = "/drivers/:author/:name/tags/:tag",
        method = "put",
        operation_id = "update_driver_tag"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// Author of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or
        /// digit at both ends.
        author: Path<DriverAuthor>,
        /// Name of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit
        /// at both ends.
        name: Path<DriverName>,
        /// Name of the tag. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit at
        /// both ends.
        tag: Path<DriverTag>,
        body: Body<DriverTagUpdate>,
    ) -> Result<Single<TaggedView>> {
        let key = key(author.0, name.0);
        let tagged = tags::put(caller.scope(), &key, &tag.0, &body.0.digest).await?;
        Ok(Single(TaggedView::new(key, tagged)?))
    }

    /// Delete a driver's tag
    ///
    /// Deletes a tag and returns it with its version, which is kept. Fails with 400 while the driver of a device, or
    /// of the automatic provisioning of a network connection, names the tag. Fails with 404 if the driver or the tag
    /// does not exist.
    #[oai(
        path = "/drivers/:author/:name/tags/:tag",
        method = "delete",
        operation_id = "delete_driver_tag"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Author of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or
        /// digit at both ends.
        author: Path<DriverAuthor>,
        /// Name of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit
        /// at both ends.
        name: Path<DriverName>,
        /// Name of the tag. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit at
        /// both ends.
        tag: Path<DriverTag>,
    ) -> Result<Found<TaggedView>> {
        let key = key(author.0, name.0);
        let tagged = tags::delete(caller.scope(), &key, &tag.0).await?;
        Ok(Found(TaggedView::new(key, tagged)?))
    }

    /// List moves of a tag
    ///
    /// Returns the history of a tag, the newest move first: each version that the tag pointed at, since when, and who
    /// moved the tag. The history of a deleted tag is kept. Fails with 404 if the driver does not exist or has never
    /// had the tag.
    #[oai(
        path = "/drivers/:author/:name/tags/:tag/history",
        method = "get",
        operation_id = "list_driver_tag_moves"
    )]
    async fn list_moves(
        &self,
        caller: Caller,
        /// Author of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or
        /// digit at both ends.
        author: Path<DriverAuthor>,
        /// Name of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit
        /// at both ends.
        name: Path<DriverName>,
        /// Name of the tag. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit at
        /// both ends.
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
