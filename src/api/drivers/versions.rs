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

/// Version of a driver, without its content.
#[derive(Object, Serialize)]
#[oai(rename = "DriverVersionSummary")]
struct SummaryView {
    /// Digest that identifies the version: `sha256:` and the SHA-256 of its manifest in hexadecimal digits.
    digest: String,
    /// Tags that point at the version, sorted by name.
    tags: Vec<String>,
    /// Names of the entry functions that the script defines.
    functions: Vec<String>,
    /// Size of the script, the schema and the examples in bytes.
    size_bytes: Count,
    /// Time at which the version was first pushed.
    created_at: Timestamp,
}

/// Version of a driver, with its content.
#[derive(Object, Serialize)]
#[oai(rename = "DriverVersion")]
pub struct VersionView {
    /// Author of the driver.
    author: String,
    /// Name of the driver, unique among the drivers of the author.
    name: String,
    /// Digest that identifies the version: `sha256:` and the SHA-256 of `manifest` in hexadecimal digits.
    digest: String,
    /// Canonical JSON (RFC 8785) with the SHA-256 of the UTF-8 bytes of `script` and, if the version has them, of the
    /// canonical JSON of `schema` and `examples`.
    manifest: String,
    /// Tags that point at the version, sorted by name.
    tags: Vec<String>,
    /// Names of the entry functions that the script defines.
    functions: Vec<String>,
    /// Size of the script, the schema and the examples in bytes.
    size_bytes: Count,
    /// Time at which the version was first pushed.
    created_at: Timestamp,
    /// JavaScript code of the version.
    script: String,
    /// Schema of the decoded data; null if the version has no schema.
    schema: Option<DriverSchema>,
    /// Columns that a data table can have for the decoded data, derived from the schema; empty without a schema.
    columns: Vec<SuggestedColumn>,
    /// Examples that the version passed when it was pushed.
    examples: Vec<ExampleBody>,
}

/// Column that a data table can have for the decoded data.
#[derive(Object, Serialize)]
#[oai(rename = "SuggestedColumn")]
struct SuggestedColumn {
    /// Path of the decoded field, with its parts joined by dots.
    path: String,
    /// Type of the field.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: ColumnType,
    /// Unit of the values; null if the schema has none.
    unit: Option<String>,
    /// Meaning of the field; null if the schema has none.
    description: Option<String>,
    /// Whether the field can be set in a device's desired state.
    configurable: bool,
}

/// Endpoints of `drivers/{author}/{name}/versions`.
pub struct DriverVersionsApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Drivers")]
impl DriverVersionsApi {
    /// List a driver's versions
    ///
    /// Returns all versions of a driver without their content, the newest first, including versions without tags.
    /// Fails with 404 if the driver does not exist or is built in.
    #[oai(
        path = "/drivers/:author/:name/versions",
        method = "get",
        operation_id = "list_driver_versions"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Author of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or
        /// digit at both ends.
        author: Path<DriverAuthor>,
        /// Name of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit
        /// at both ends.
        name: Path<DriverName>,
        paging: Paging,
    ) -> Result<Listed<SummaryView>> {
        let key = key(author.0, name.0);
        let window = paging.window()?;
        let page = versions::list(caller.scope(), &key, &window.stretch).await?;
        Ok(window.answer(page, SummaryView::from)?)
    }

    /// Get a driver version
    ///
    /// Returns a version with its script, schema and examples, which never change; its tags can change. Fails with
    /// 404 if the driver or the version does not exist.
    #[oai(
        path = "/drivers/:author/:name/versions/:digest",
        method = "get",
        operation_id = "get_driver_version"
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
        /// Digest of the version: `sha256:` and 64 hexadecimal digits in lower case.
        digest: Path<DriverDigest>,
    ) -> Result<Found<VersionView>> {
        let key = key(author.0, name.0);
        let pick = Pick::Digest(digest.0.into_string());
        let version = versions::get(caller.scope(), &key, &pick).await?;
        Ok(Found(VersionView::new(key, version)?))
    }

    /// Delete a driver version
    ///
    /// Deletes a version and returns it. Fails with 400 while a tag points at the version, or while the driver of a
    /// device, or of the automatic provisioning of a network connection, names its digest. Fails with 404 if the
    /// driver or the version does not exist.
    #[oai(
        path = "/drivers/:author/:name/versions/:digest",
        method = "delete",
        operation_id = "delete_driver_version"
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
        /// Digest of the version: `sha256:` and 64 hexadecimal digits in lower case.
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
