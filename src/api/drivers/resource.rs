//! Drivers.

use poem::Result;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        drivers::content::{ExampleBody, SchemaBody},
        http::{
            answer::{Created, Found, Revised, Single},
            body::Body,
            caller::Caller,
            page::Listed,
            paging::Paging,
            sort::SortBy,
            types::{Count, List, Timestamp},
        },
        tag::Tag,
    },
    hub::{
        Hub,
        drivers::{Source, built_in, examples::EXAMPLES_MAX},
    },
    reference::DriverKey,
    store::drivers::{self, Driver, Metadata, list, tags::Tag as StoredTag},
    text::{Description, DriverAuthor, DriverName, DriverTag, Label, Name, Script},
};

/// Factor on the size of the body of a push: a megabyte of script may take six in JSON, besides the schema and
/// the examples.
pub(super) const PUSH_FACTOR: usize = 8;

/// A version of a driver to push
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDriver {
    /// Who wrote it
    author: DriverAuthor,
    /// What it is for
    name: DriverName,
    /// The tags that point at this version from now on; those that are there already move
    tags: List<DriverTag, 1, 16>,
    /// JavaScript that defines `decodeUplink(input)` or `decode(payload, port)`
    script: Script,
    /// What it decodes to
    schema: Option<SchemaBody>,
    /// What it must make of which input: each is run before the version is taken
    examples: Option<List<ExampleBody, 0, EXAMPLES_MAX>>,
    /// For people
    description: Option<Description>,
    /// The devices it is for
    #[oai(default)]
    #[serde(default)]
    supports: List<SupportedDevice, 0, 100>,
    /// For finding it
    #[oai(default)]
    #[serde(default)]
    labels: List<Label, 0, 64>,
}

/// What takes the place of a driver's metadata
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DriverUpdate {
    /// For people
    pub(super) description: Option<Description>,
    /// The devices it is for
    #[oai(default)]
    #[serde(default)]
    pub(super) supports: List<SupportedDevice, 0, 100>,
    /// For finding it
    #[oai(default)]
    #[serde(default)]
    pub(super) labels: List<Label, 0, 64>,
}

/// A device that a driver is for
#[derive(Clone, Object, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SupportedDevice {
    /// Who makes it
    manufacturer: Name,
    /// Its model
    model: Name,
    /// Its firmware version; any, if left out
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware_version: Option<Name>,
}

/// A driver
#[derive(Object, Serialize)]
#[oai(rename = "Driver")]
pub(super) struct DriverView {
    /// Who wrote it
    author: String,
    /// What it is for
    name: String,
    /// For people
    description: String,
    /// The devices it is for
    supports: Vec<SupportedDevice>,
    /// For finding it
    labels: Vec<String>,
    /// Whether it is part of the hub: it cannot be changed, has no script, tags and versions, and any tag of it works
    built_in: bool,
    /// Its tags and what they point at
    tags: Vec<TagView>,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When its first version was pushed
    created_at: Timestamp,
    /// When its metadata last changed, or a version was pushed
    updated_at: Timestamp,
}

/// A tag and the version it points at
#[derive(Object, Serialize)]
#[oai(rename = "DriverTag")]
struct TagView {
    /// Its name
    tag: String,
    /// What the version is called by: `sha256:` and the SHA-256 of its manifest
    digest: String,
    /// The entry functions that the version's script defines
    functions: Vec<String>,
    /// When it was last moved
    updated_at: Timestamp,
}

/// Endpoints of `drivers`.
pub struct DriversApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Drivers")]
impl DriversApi {
    /// Push a driver
    ///
    /// Adds a version of the driver `author/name`, makes the driver if it is new, replaces its
    /// metadata and moves the tags. The script is run once, and every example: a script that does not
    /// parse, or defines nothing to call, is refused with the line, and one that does not do what an
    /// example says, with the first difference. The version is called by the digest of all that it
    /// holds; pushing the same again adds nothing. Devices whose driver names one of the tags use the
    /// new version from their next uplink on. A version stays until it is deleted, also when no tag
    /// points at it any more; a driver has at most 1000.
    #[oai(path = "/drivers", method = "post", operation_id = "create_driver")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<NewDriver, PUSH_FACTOR>,
    ) -> Result<Created<DriverView>> {
        let NewDriver {
            author,
            name,
            tags,
            script,
            schema,
            examples,
            description,
            supports,
            labels,
        } = body.0;
        let key = key(author, name);
        let source = Source {
            place: None,
            script: script.into_string(),
            schema: schema.map(Into::into),
            examples: examples
                .into_iter()
                .flat_map(|examples| examples.0)
                .map(Into::into)
                .collect(),
            tags: tags.0.into_iter().map(DriverTag::into_string).collect(),
            digest: None,
        };
        let metadata = DriverUpdate {
            description,
            supports,
            labels,
        }
        .metadata();
        let driver = self
            .hub
            .push_driver(caller.scope(), &key, metadata, vec![source])
            .await?;
        let location = format!("/api/v3/drivers/{key}");
        Ok(Created {
            location,
            body: driver.into(),
        })
    }

    /// List drivers
    ///
    /// With their tags; those that are part of the hub, too.
    #[oai(path = "/drivers", method = "get", operation_id = "list_drivers")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those that this author has written
        author: Query<Option<DriverAuthor>>,
        /// Only those for devices of this manufacturer, whatever its case
        manufacturer: Query<Option<Name>>,
        /// Only those for devices of this model, whatever its case; with `manufacturer`, of that one's
        model: Query<Option<Name>>,
        /// Only those with this label
        label: Query<Option<Label>>,
        /// Only those with this text in author, name, description, a manufacturer, a model or a label, whatever its case
        q: Query<Option<Name>>,
        /// What orders them; a minus turns it round. `created_at` by default
        sort: Query<Option<SortBy<list::SortBy>>>,
        paging: Paging,
    ) -> Result<Listed<DriverView>> {
        let window = paging.window()?;
        let sort = SortBy::or(sort.0, list::SortBy::Created);
        let filter = list::Filter {
            author: author.0.map(DriverAuthor::into_string),
            manufacturer: manufacturer.0.map(Name::into_string),
            model: model.0.map(Name::into_string),
            label: label.0.map(Label::into_string),
            search: q.0.map(Name::into_string),
        };
        let page = built_in::list(caller.scope(), &filter, sort, &window.stretch).await?;
        Ok(window.answer(page, DriverView::from)?)
    }

    /// Get a driver
    ///
    /// Its metadata and tags; what a tag points at is at the tag.
    #[oai(
        path = "/drivers/:author/:name",
        method = "get",
        operation_id = "get_driver"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
    ) -> Result<Single<DriverView>> {
        Ok(Single(
            built_in::get(caller.scope(), &key(author.0, name.0))
                .await?
                .into(),
        ))
    }

    /// Replace a driver's metadata
    ///
    /// Its versions and tags stay; what is left out is emptied.
    #[oai(
        path = "/drivers/:author/:name",
        method = "put",
        operation_id = "update_driver"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
        body: Body<DriverUpdate>,
    ) -> Result<Single<DriverView>> {
        let key = key(author.0, name.0);
        Ok(Single(
            drivers::update(caller.scope(), &key, body.0.metadata())
                .await?
                .into(),
        ))
    }

    /// Delete a driver
    ///
    /// With all its versions and tags. Refused while a device uses it. Answers what was deleted.
    #[oai(
        path = "/drivers/:author/:name",
        method = "delete",
        operation_id = "delete_driver"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
    ) -> Result<Found<DriverView>> {
        Ok(Found(
            drivers::delete(caller.scope(), &key(author.0, name.0))
                .await?
                .into(),
        ))
    }
}

/// Returns the key of the driver with this author and name.
pub(super) fn key(author: DriverAuthor, name: DriverName) -> DriverKey {
    DriverKey {
        author: author.into_string(),
        name: name.into_string(),
    }
}

impl DriverUpdate {
    pub(super) fn metadata(self) -> Metadata<SupportedDevice> {
        Metadata {
            description: self
                .description
                .map(Description::into_string)
                .unwrap_or_default(),
            supports: self.supports.0,
            labels: self.labels.0.into_iter().map(Label::into_string).collect(),
        }
    }
}

impl From<Driver<SupportedDevice>> for DriverView {
    fn from(driver: Driver<SupportedDevice>) -> Self {
        let tag = |tag: StoredTag| TagView {
            tag: tag.name,
            digest: tag.digest,
            functions: tag.functions,
            updated_at: Timestamp(tag.updated_at),
        };
        Self {
            built_in: driver.is_beside(),
            author: driver.key.author,
            name: driver.key.name,
            description: driver.metadata.description,
            supports: driver.metadata.supports,
            labels: driver.metadata.labels,
            tags: driver.tags.into_iter().map(tag).collect(),
            revision: Count::saturating(driver.revision),
            created_at: Timestamp(driver.created_at),
            updated_at: Timestamp(driver.updated_at),
        }
    }
}

impl Revised for DriverView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
