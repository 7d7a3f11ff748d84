//! Immutable versions of drivers.

use poem::Result;
use poem_openapi::{Object, OpenApi, param::Path};
use serde::Serialize;

use crate::{
    api::{
        data::columns::ColumnType,
        drivers::{
            content::{DriverSchema, ExampleBody, read_examples},
            resource::key,
        },
        http::{
            answer::Found,
            caller::Caller,
            mirror::mirror,
            page::Listed,
            paging::Paging,
            types::{Count, Timestamp},
        },
        tag::Tag,
    },
    error::Error,
    hub::drivers::{
        manifest,
        schemas::{self, ColumnKind},
    },
    reference::{DriverDigest, DriverKey, Pick},
    store::drivers::versions::{self, Content, Summary, Version},
    text::{DriverAuthor, DriverName},
};

/// A version of a driver, without what is in it
#[derive(Object, Serialize)]
#[oai(rename = "DriverVersionSummary")]
struct SummaryView {
    /// What it is called by: `sha256:` and the SHA-256 of its manifest
    digest: String,
    /// The tags that point at it
    tags: Vec<String>,
    /// The entry functions that its script defines
    functions: Vec<String>,
    /// Bytes of its script, its schema and its examples
    size_bytes: Count,
    /// When it was first pushed
    created_at: Timestamp,
}

/// A version of a driver
#[derive(Object, Serialize)]
#[oai(rename = "DriverVersion")]
pub struct VersionView {
    /// Who wrote it
    author: String,
    /// What it is for
    name: String,
    /// What it is called by: `sha256:` and the SHA-256 of its manifest
    digest: String,
    /// The text that the digest is made of: canonical JSON (RFC 8785) with the SHA-256 of the script's bytes and of the canonical JSON of `schema` and `examples`, where there are any
    manifest: String,
    /// The tags that point at it
    tags: Vec<String>,
    /// The entry functions that the script defines
    functions: Vec<String>,
    /// Bytes of the script, the schema and the examples
    size_bytes: Count,
    /// When it was first pushed
    created_at: Timestamp,
    /// The script itself
    script: String,
    /// What it decodes to; null where the version does not say
    schema: Option<DriverSchema>,
    /// What a data table could keep of it, as the schema says, with types and units; empty without a schema
    columns: Vec<SuggestedColumn>,
    /// What it makes of which input; all were run when it was pushed
    examples: Vec<ExampleBody>,
}

/// A column that a data table could keep
#[derive(Object, Serialize)]
#[oai(rename = "SuggestedColumn")]
struct SuggestedColumn {
    /// Path of the decoded field, its parts joined by dots
    path: String,
    /// What the field is
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: ColumnType,
    /// Its unit
    unit: Option<String>,
    /// What it means
    description: Option<String>,
    /// Whether it may be set in a device's desired state
    configurable: bool,
}

/// Endpoints of `drivers/{author}/{name}/versions`.
pub struct DriverVersionsApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Drivers")]
impl DriverVersionsApi {
    /// List a driver's versions
    ///
    /// The newest first, without what is in them; also those that no tag points at.
    #[oai(
        path = "/drivers/:author/:name/versions",
        method = "get",
        operation_id = "list_driver_versions"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
        paging: Paging,
    ) -> Result<Listed<SummaryView>> {
        let key = key(author.0, name.0);
        let window = paging.window()?;
        let page = versions::list(caller.scope(), &key, &window.stretch).await?;
        Ok(window.answer(page, SummaryView::from)?)
    }

    /// Get a version of a driver
    ///
    /// With its script, schema and examples. What is in it never changes; which tags point at it may.
    #[oai(
        path = "/drivers/:author/:name/versions/:digest",
        method = "get",
        operation_id = "get_driver_version"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
        /// The version's digest
        digest: Path<DriverDigest>,
    ) -> Result<Found<VersionView>> {
        let key = key(author.0, name.0);
        let pick = Pick::Digest(digest.0.into_string());
        let version = versions::get(caller.scope(), &key, &pick).await?;
        Ok(Found(VersionView::new(key, version)?))
    }

    /// Delete a version of a driver
    ///
    /// Refused while a tag points at it or a device is pinned to it. Answers what was deleted.
    #[oai(
        path = "/drivers/:author/:name/versions/:digest",
        method = "delete",
        operation_id = "delete_driver_version"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
        /// The version's digest
        digest: Path<DriverDigest>,
    ) -> Result<Found<VersionView>> {
        let key = key(author.0, name.0);
        let version = versions::delete(caller.scope(), &key, &digest.0).await?;
        Ok(Found(VersionView::new(key, version)?))
    }
}

impl VersionView {
    /// Returns the view of a stored version.
    pub fn new(key: DriverKey, version: Version) -> Result<Self, Error> {
        let Version {
            content,
            size_bytes,
            created_at,
            tags,
        } = version;
        let manifest = manifest::of(&content)?;
        let Content {
            digest,
            script_digest: _,
            script,
            schema,
            examples,
            functions,
        } = content;
        let columns = suggested(schema.as_deref())?;
        let schema = schema.map(|text| serde_json::from_str(&text));
        Ok(Self {
            author: key.author,
            name: key.name,
            digest,
            manifest,
            tags,
            functions,
            size_bytes: Count::saturating(size_bytes),
            created_at: Timestamp(created_at),
            script,
            schema: schema
                .transpose()
                .map_err(Error::internal)?
                .map(DriverSchema),
            columns,
            examples: read_examples(examples.as_deref())?,
        })
    }
}

mirror!(ColumnType = ColumnKind: Number, Text, Boolean, Json);

/// Returns the columns that a driver's schema suggests for data tables.
fn suggested(schema: Option<&str>) -> Result<Vec<SuggestedColumn>, Error> {
    let columns = schemas::columns(schema)?.into_iter();
    let columns = columns.map(|column| SuggestedColumn {
        path: column.path,
        kind: column.kind.into(),
        unit: column.unit,
        description: column.description,
        configurable: column.configurable,
    });
    Ok(columns.collect())
}

impl From<Summary> for SummaryView {
    fn from(version: Summary) -> Self {
        Self {
            digest: version.digest,
            tags: version.tags,
            functions: version.functions,
            size_bytes: Count::saturating(version.size_bytes),
            created_at: Timestamp(version.created_at),
        }
    }
}
