//! Export and import of a driver as one archive.

use poem::{IntoResponse, Response, Result, http::header};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    registry::{MetaResponse, MetaResponses, Registry},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        drivers::{
            content::ExampleBody,
            resource::{DriverUpdate, DriverView, PUSH_FACTOR, SupportedDevice, key},
        },
        http::{
            answer::Created,
            bounds::BodyBounds,
            caller::Caller,
            declaration::FILE_TYPE,
            files::{self, FileKind, Sent},
            json,
            types::List,
        },
        tag::Tag,
    },
    error::Error,
    hub::{
        Hub,
        drivers::{
            self, Source,
            archive::{self, FileName, Folder},
            examples::EXAMPLES_MAX,
            schemas::SchemaSource,
        },
    },
    id::TenantId,
    reference::{DriverDigest, DriverKey, DriverPick},
    shares::{self, Full, Shares},
    store::drivers::{Metadata, versions::Version},
    text::{Description, DriverAuthor, DriverName, DriverTag, Label, Script},
    threads::run_apart,
};

/// Maximum number of tags of one version in an archive.
const TAGS_MAX: usize = 256;
/// Maximum number of exports at the same time, in total and per tenant.
const EXPORTS_MAX: usize = 4;
const EXPORTS_TENANT_MAX: usize = 2;

/// Content of the file `.project` in the folder of a version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Project {
    #[serde(rename = "type")]
    kind: ProjectType,
    metadata: ProjectMetadata,
    #[serde(default)]
    tags: List<DriverTag, 0, TAGS_MAX>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<DriverDigest>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProjectType {
    Driver,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectMetadata {
    author: DriverAuthor,
    name: DriverName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Description>,
    #[serde(default)]
    supports: List<SupportedDevice, 0, 100>,
    #[serde(default)]
    labels: List<Label, 0, 64>,
}

/// Endpoints of `drivers/{author}/{name}/export` and `drivers/import`.
pub struct DriverArchivesApi {
    pub hub: Hub,
    pub exporting: Exporting,
}

/// Limits concurrent exports, because each holds the texts of up to 32 versions in memory.
pub struct Exporting(Shares<TenantId>);

impl Default for Exporting {
    fn default() -> Self {
        Self(Shares::new(EXPORTS_MAX))
    }
}

impl Exporting {
    /// Takes a place for an export of the tenant.
    fn enter(&self, tenant: TenantId) -> Result<shares::Place<TenantId>, Error> {
        let entered = self.0.enter([(tenant, EXPORTS_TENANT_MAX)]);
        entered.map_err(|full| {
            Error::overloaded(match full {
                Full::All => "too many drivers are being exported; try again",
                Full::Share(_) => "too many drivers of this tenant are being exported; try again",
            })
        })
    }
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Drivers")]
impl DriverArchivesApi {
    /// Export a driver
    ///
    /// Returns a driver as a tar archive, compressed with gzip, which `POST /drivers/import` of any hub accepts. The
    /// archive has a folder for each version that a tag points at, or for the one version in `reference`. A folder
    /// contains `.project` (JSON with author, name, metadata, tags and digest), `driver.js` and, if the version has
    /// them, `schema.json` and `examples.json`.
    ///
    /// Fails with 400 if `reference` is omitted and the driver has no tags or more than 32 tagged versions. Fails
    /// with 404 if the driver does not exist, has no version for `reference`, or is built in. Fails with 503 if too
    /// many exports are running.
    #[oai(
        path = "/drivers/:author/:name/export",
        method = "get",
        operation_id = "export_driver"
    )]
    async fn export(
        &self,
        caller: Caller,
        /// Author of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or
        /// digit at both ends.
        author: Path<DriverAuthor>,
        /// Name of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit
        /// at both ends.
        name: Path<DriverName>,
        /// Tag or digest of the only version to export. All tagged versions if omitted. A digest is `sha256:` followed
        /// by 64 hexadecimal digits in lower case.
        reference: Query<Option<DriverPick>>,
    ) -> Result<ArchiveAnswer> {
        let key = key(author.0, name.0);
        let pick = reference.0.map(DriverPick::into_pick);
        let place = self.exporting.enter(caller.scope().tenant())?;
        let (metadata, versions) = drivers::to_export(caller.scope(), &key, pick).await?;
        let modified_s = versions
            .iter()
            .map(|version| version.created_at.timestamp().unsigned_abs())
            .max()
            .unwrap_or_default();
        let folders = versions
            .into_iter()
            .map(|version| folder(&key, &metadata, version));
        let folders = folders.collect::<Result<Vec<_>, Error>>()?;
        let bytes = run_apart("archive", place, move || {
            archive::pack(&folders, modified_s)
        })
        .await?;
        Ok(ArchiveAnswer {
            file_name: format!("{}-{}.tar.gz", key.author, key.name),
            bytes,
        })
    }

    /// Import a driver
    ///
    /// Pushes the versions in an archive that `GET /drivers/{author}/{name}/export` returned, with their tags. Each
    /// version is checked and its examples are run, as by `POST /drivers`. Either all versions are added, or none.
    ///
    /// The archive is a tar archive, compressed with gzip, with a folder for each version, or with the files of one
    /// version at the top. All versions must have the same author, name and metadata. A `digest` in `.project` must be
    /// that of the content. Send the archive as `application/octet-stream`, as `application/gzip`, or as the only part
    /// of `multipart/form-data`.
    ///
    /// Fails with 400 if the archive is invalid, if a version does not pass its checks, or if a limit is exceeded: 32
    /// versions, 256 files and folders, 4 MiB per file, 64 MiB uncompressed.
    #[oai(
        path = "/drivers/import",
        method = "post",
        operation_id = "import_driver"
    )]
    async fn import(
        &self,
        caller: Caller,
        mut archive: Sent<ArchiveFile>,
    ) -> Result<Created<DriverView>> {
        // The rest of `archive` holds its place to the end of the request, and `place` holds it for the work,
        // which goes on if the request is cancelled.
        let (bytes, place) = (std::mem::take(&mut archive.bytes), archive.place.clone());
        let folders = run_apart("archive", place, move || archive::unpack(&bytes)).await?;
        let mut projects = folders.iter().map(Unpacked::read);
        let first = projects.next();
        let first = first.ok_or_else(|| Error::field("archive", "must contain a driver"))??;
        let mut sources = vec![first.source];
        for project in projects {
            let project = project?;
            if project.metadata != first.metadata {
                let rule = "must have the same metadata as the other versions in the archive";
                return Err(Error::field(&project.place, rule).into());
            }
            sources.push(project.source);
        }
        let (key, metadata) = first.metadata.into_parts();
        let driver = self
            .hub
            .push_driver(caller.scope(), &key, metadata, sources)
            .await?;
        Ok(Created {
            location: format!("/api/v3/drivers/{key}"),
            body: driver.into(),
        })
    }
}

fn folder(
    key: &DriverKey,
    metadata: &Metadata<SupportedDevice>,
    version: Version,
) -> Result<Folder, Error> {
    let content = version.content;
    let project = serde_json::json!({
        "type": "driver",
        "metadata": {
            "author": key.author,
            "name": key.name,
            "description": metadata.description,
            "supports": metadata.supports,
            "labels": metadata.labels,
        },
        "tags": version.tags,
        "digest": content.digest,
    });
    let project = serde_json::to_string_pretty(&project).map_err(Error::internal)?;
    let texts = [
        (FileName::Project, Some(project + "\n")),
        (FileName::Script, Some(content.script)),
        (FileName::Schema, content.schema),
        (FileName::Examples, content.examples),
    ];
    let short: String = content.digest.chars().skip(7).take(12).collect();
    Ok(Folder {
        name: format!("{}-{short}", key.name),
        files: texts
            .into_iter()
            .filter_map(|(file, text)| Some((file, text?)))
            .collect(),
    })
}

/// A version that was read from the folder of an archive.
struct Unpacked {
    place: String,
    metadata: ProjectMetadata,
    source: Source,
}

impl Unpacked {
    fn read(folder: &Folder) -> Result<Self, Error> {
        let place = folder.place(FileName::Project);
        let project: Project = read_json(folder, FileName::Project)?
            .ok_or_else(|| folder.missing(FileName::Project))?;
        let script = Script::new(folder.required(FileName::Script)?)
            .map_err(|rule| Error::field(&folder.place(FileName::Script), rule))?;
        let examples: Option<List<ExampleBody, 0, EXAMPLES_MAX>> =
            read_json(folder, FileName::Examples)?;
        let schema = folder.files.get(&FileName::Schema).cloned();
        Ok(Self {
            place,
            metadata: project.metadata,
            source: Source {
                place: Some(folder.to_string()),
                script: script.into_string(),
                schema: schema.map(SchemaSource::Text),
                examples: examples
                    .unwrap_or_default()
                    .0
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                tags: project
                    .tags
                    .0
                    .into_iter()
                    .map(DriverTag::into_string)
                    .collect(),
                digest: project.digest.map(DriverDigest::into_string),
            },
        })
    }
}

fn read_json<T: serde::de::DeserializeOwned>(
    folder: &Folder,
    file: FileName,
) -> Result<Option<T>, Error> {
    let Some(text) = folder.files.get(&file) else {
        return Ok(None);
    };
    let read = json::parse(text.as_bytes());
    read.map(Some)
        .map_err(|error| Error::of_field(error.reason(), &folder.place(file), error))
}

impl ProjectMetadata {
    fn into_parts(self) -> (DriverKey, Metadata<SupportedDevice>) {
        let update = DriverUpdate {
            description: self.description,
            supports: self.supports,
            labels: self.labels,
        };
        (key(self.author, self.name), update.metadata())
    }
}

/// Kind of an uploaded file with an archive to import.
pub struct ArchiveFile;

impl FileKind for ArchiveFile {
    const DESCRIPTION: &'static str = "Tar archive, compressed with gzip, as an export returns it.";
    const USUAL_TYPES: &'static [&'static str] = &["application/gzip"];

    fn may_be(media_type: &str) -> bool {
        matches!(
            media_type,
            "application/gzip"
                | "application/x-gzip"
                | "application/x-tgz"
                | "application/x-compressed-tar"
                | "application/x-tar"
        )
    }

    fn max_bytes(bounds: &BodyBounds) -> usize {
        bounds.max_bytes * PUSH_FACTOR
    }
}

/// Response 200 with an archive.
pub struct ArchiveAnswer {
    file_name: String,
    bytes: Vec<u8>,
}

impl IntoResponse for ArchiveAnswer {
    fn into_response(self) -> Response {
        // Author and name of a driver are ASCII without quotes, so they need no escaping.
        let disposition = format!("attachment; filename=\"{}\"", self.file_name);
        Response::builder()
            .header(header::CONTENT_TYPE, FILE_TYPE)
            .header(header::CONTENT_DISPOSITION, disposition)
            .body(self.bytes)
    }
}

impl ApiResponse for ArchiveAnswer {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Success. The body is the archive.",
                status: Some(200),
                status_range: None,
                content: vec![files::content()],
                headers: vec![crate::api::http::answer::header(
                    "Content-Disposition",
                    "Suggested name for the file.",
                    true,
                )],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}
