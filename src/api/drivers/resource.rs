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

/// Version of a driver to push.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDriver {
    /// Author of the driver. `thingshub` is reserved for built-in drivers. Consists of ASCII letters, digits, dots,
    /// dashes and underscores, with a letter or digit at both ends.
    author: DriverAuthor,
    /// Name of the driver, unique among the drivers of the author. Consists of ASCII letters, digits, dots, dashes and
    /// underscores, with a letter or digit at both ends.
    name: DriverName,
    /// Tags that will point at this version. Existing tags are moved to it. Each consists of ASCII letters, digits,
    /// dots, dashes and underscores, with a letter or digit at both ends.
    tags: List<DriverTag, 1, 16>,
    /// JavaScript code that defines at least one of `decodeUplink(input)`, `decode(bytes, port, state)`,
    /// `Decoder(bytes, port, variables)` and `Decode(port, bytes, variables)`.
    script: Script,
    /// Schema of the decoded data, as a JSON object or as JSON or YAML in a string. Omitted or null for no schema.
    schema: Option<SchemaBody>,
    /// Examples that the version must pass, with at most 262144 bytes of JSON together. Omitted or null for none.
    examples: Option<List<ExampleBody, 0, EXAMPLES_MAX>>,
    /// Description of the driver, for people; empty if omitted or null.
    description: Option<Description>,
    /// Devices that the driver supports.
    #[oai(default)]
    #[serde(default)]
    supports: List<SupportedDevice, 0, 100>,
    /// Labels of the driver, for searching. Each consists of letters and digits of any script, `-`, `_`, `.`, `:`, `=`,
    /// `/` and inner spaces.
    #[oai(default)]
    #[serde(default)]
    labels: List<Label, 0, 64>,
}

/// New metadata of a driver.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DriverUpdate {
    /// Description of the driver, for people; empty if omitted or null.
    pub(super) description: Option<Description>,
    /// Devices that the driver supports.
    #[oai(default)]
    #[serde(default)]
    pub(super) supports: List<SupportedDevice, 0, 100>,
    /// Labels of the driver, for searching. Each consists of letters and digits of any script, `-`, `_`, `.`, `:`, `=`,
    /// `/` and inner spaces.
    #[oai(default)]
    #[serde(default)]
    pub(super) labels: List<Label, 0, 64>,
}

/// Device that a driver supports.
#[derive(Clone, Object, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SupportedDevice {
    /// Manufacturer of the device.
    manufacturer: Name,
    /// Model of the device.
    model: Name,
    /// Firmware version of the device. Omitted or null for any version.
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware_version: Option<Name>,
}

/// Driver with its metadata and tags.
#[derive(Object, Serialize)]
#[oai(rename = "Driver")]
pub(super) struct DriverView {
    /// Author of the driver.
    author: String,
    /// Name of the driver, unique among the drivers of the author.
    name: String,
    /// Description of the driver, for people.
    description: String,
    /// Devices that the driver supports.
    supports: Vec<SupportedDevice>,
    /// Labels of the driver, for searching.
    labels: Vec<String>,
    /// Whether the driver is part of the hub. A built-in driver has no script, tags or versions and cannot be
    /// changed; devices can refer to it with any tag.
    built_in: bool,
    /// Tags of the driver, sorted by name, and the versions that they point at.
    tags: Vec<TagView>,
    /// Number of the revision, which increases with every change by a client. The `ETag` header contains it.
    revision: Count,
    /// Time at which the first version was pushed.
    created_at: Timestamp,
    /// Time of the last push, or of the last change of the metadata or a tag.
    updated_at: Timestamp,
}

/// Tag of a driver and the version that it points at.
#[derive(Object, Serialize)]
#[oai(rename = "DriverTag")]
struct TagView {
    /// Name of the tag.
    tag: String,
    /// Digest that identifies the version: `sha256:` and the SHA-256 of its manifest in hexadecimal digits.
    digest: String,
    /// Names of the entry functions that the version's script defines.
    functions: Vec<String>,
    /// Time at which the tag was last moved.
    updated_at: Timestamp,
}

/// Endpoints of `drivers`.
pub struct DriversApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Drivers")]
impl DriversApi {
    /// Push a driver version
    ///
    /// Adds a version to the driver `author/name`, replaces the metadata of the driver and moves the tags to the
    /// version. Creates the driver if it does not exist. The digest of its script, schema and examples identifies a
    /// version; if the driver already has that version, only the metadata and the tags change. Devices whose driver
    /// names one of the tags use the version from their next uplink on. Versions are kept until they are deleted, even
    /// if no tag points at them.
    ///
    /// Runs the script once, and every example. Fails with 400 if the script cannot be parsed or defines no function
    /// to decode uplinks, if the schema is invalid, if an example fails (the error names the first difference), if
    /// `author` is `thingshub`, or if the driver already has 1000 versions. Fails with 503 if too many drivers are
    /// waiting to run.
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
    /// Returns the drivers of the tenant with their tags, and the built-in drivers. Filters are combined with AND.
    #[oai(path = "/drivers", method = "get", operation_id = "list_drivers")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only drivers of this author, case-sensitive. The author consists of ASCII letters, digits, dots, dashes and
        /// underscores, with a letter or digit at both ends.
        author: Query<Option<DriverAuthor>>,
        /// Only drivers that support a device of this manufacturer, ignoring case.
        manufacturer: Query<Option<Name>>,
        /// Only drivers that support a device of this model, ignoring case. Combined with `manufacturer`, both must
        /// apply to the same device.
        model: Query<Option<Name>>,
        /// Only drivers with exactly this label, which consists of letters and digits of any script, `-`, `_`, `.`,
        /// `:`, `=`, `/` and inner spaces.
        label: Query<Option<Label>>,
        /// Text that the author, the name, the description, a manufacturer, a model or a label must contain, ignoring
        /// case.
        q: Query<Option<Name>>,
        /// Sort key; prefix it with `-` for descending order. Sorted by `created_at` if omitted.
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
    /// Returns the metadata and tags of a driver, without scripts. Fails with 404 if the driver does not exist.
    #[oai(
        path = "/drivers/:author/:name",
        method = "get",
        operation_id = "get_driver"
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
    ) -> Result<Single<DriverView>> {
        Ok(Single(
            built_in::get(caller.scope(), &key(author.0, name.0))
                .await?
                .into(),
        ))
    }

    /// Update a driver's metadata
    ///
    /// Replaces the description, supported devices and labels of a driver; omitted fields become empty. Versions and
    /// tags do not change. Fails with 404 if the driver does not exist or is built in.
    #[oai(
        path = "/drivers/:author/:name",
        method = "put",
        operation_id = "update_driver"
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
    /// Deletes a driver with all its versions, tags and their history, and returns it. Fails with 400 while a device,
    /// or the automatic provisioning of a network connection, uses the driver. Fails with 404 if the driver does not
    /// exist or is built in.
    #[oai(
        path = "/drivers/:author/:name",
        method = "delete",
        operation_id = "delete_driver"
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
