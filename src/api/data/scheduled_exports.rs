//! Scheduled exports of data tables.

use poem::Result;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        data::{
            columns::Column,
            export_targets::{ExportTarget, ExportTargetView},
        },
        http::{
            answer::{Created, Found, Revised, Single},
            body::Body,
            caller::Caller,
            mirror::mirror,
            page::Listed,
            paging::Paging,
            sort::SortBy,
            types::{self, Count, Id, Timestamp},
        },
        integrations::targets::target_type::Provisioned,
        tag::Tag,
    },
    error::Error,
    hub::Hub,
    id::{DataTableId, ExportId},
    secret::{Claim, SealedCredentials},
    store::{
        core::listing::ResourceOrder,
        data::{
            self,
            scheduled::{self, FileForm, FileFormat, NewExport, ScheduledExport},
        },
    },
    text::{CronText, Name, ZoneName},
};

/// Scheduled export to create, or the new configuration of an existing one.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewScheduledExport")]
struct NewScheduledExportBody {
    /// Name of the scheduled export, unique in the data table.
    name: Name,
    /// Whether the schedule begins runs. While it is false, no run begins by itself; a run in progress, with its
    /// retries, goes on.
    #[oai(default = "types::yes")]
    #[serde(default = "types::yes")]
    enabled: bool,
    /// Whether the first run exports the rows that existed when the scheduled export was created. A later change has no
    /// effect.
    #[oai(default = "types::yes")]
    #[serde(default = "types::yes")]
    include_existing_rows: bool,
    /// Format of the files.
    format: ExportFormat,
    /// Whether the files are compressed with gzip. Cannot be combined with the format `parquet`, whose files are
    /// compressed already.
    #[oai(default)]
    #[serde(default)]
    gzip: bool,
    /// True for texts as they are, for programs. False for texts that are safe in spreadsheets. Requires the format
    /// `csv`.
    #[oai(default)]
    #[serde(default)]
    raw: bool,
    /// True for the units of columns in the header line, such as `temperature [°C]`. Requires the format `csv`.
    #[oai(default)]
    #[serde(default)]
    units: bool,
    /// Times of the runs as a cron expression of five fields: minute, hour, day of the month, month, day of the week.
    /// One without a time in the future is rejected.
    schedule: CronText,
    /// Time zone of `schedule`, as a name of the IANA database. Where clocks are set forward, a time that does not exist
    /// is taken at the first one after it; where they are set back, a fixed time occurs once.
    timezone: ZoneName,
    /// Target that receives the files.
    target: ExportTarget,
}

/// Format of exported files.
#[derive(Enum, Clone, Copy, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum ExportFormat {
    /// A header line and one line per row (RFC 4180).
    Csv,
    /// One JSON object per line, as in the list of rows.
    Ndjson,
    /// Apache Parquet, compressed with Snappy.
    Parquet,
}

/// A scheduled export, which regularly sends the new rows of a data table to another system as a file.
#[derive(Object, Serialize)]
#[oai(rename = "ScheduledExport")]
struct ScheduledExportView {
    /// Unique identifier of the scheduled export.
    id: Id,
    /// Name of the scheduled export, unique in the data table.
    name: String,
    /// Whether the schedule begins runs.
    enabled: bool,
    /// Whether the first run exports the rows that existed when the scheduled export was created.
    include_existing_rows: bool,
    /// Format of the files.
    format: ExportFormat,
    /// Whether the files are compressed with gzip.
    gzip: bool,
    /// True for texts as they are, false for texts that are safe in spreadsheets.
    raw: bool,
    /// True for the units of columns in the header line.
    units: bool,
    /// Times of the runs as a cron expression of five fields.
    schedule: String,
    /// Time zone of `schedule`.
    timezone: String,
    /// Target that receives the files, without its secrets.
    target: ExportTargetView,
    /// Time of the next run; null while `enabled` is false.
    next_run_at: Option<Timestamp>,
    /// End of the last run that succeeded or had no rows; null if there is none.
    last_success_at: Option<Timestamp>,
    /// Revision, which increases with every change by a client. It is also the `ETag`.
    revision: Count,
    /// Time of creation.
    created_at: Timestamp,
    /// Time of the last change by a client.
    updated_at: Timestamp,
}

/// Endpoints of `data-tables/{id}/scheduled-exports`.
pub struct ScheduledExportsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::DataTables")]
impl ScheduledExportsApi {
    /// Create a scheduled export
    ///
    /// Creates a scheduled export, which sends the new rows of the data table to the target as a file, at the times of a
    /// schedule. Each run has the rows that were recorded since the last run that succeeded: no row is missed, and none
    /// is in two files. Rows that arrive late are in the next file, whatever their `time`.
    ///
    /// Fails with 400 if another scheduled export of the data table has the name, if `schedule` or `timezone` is
    /// invalid, if a required secret is missing, if the target has the type `folder` and the operator has not set
    /// `export_folder`, or if the data table has 20 scheduled exports. Fails with 404 if the data table does not exist.
    #[oai(
        path = "/data-tables/:id/scheduled-exports",
        method = "post",
        operation_id = "create_scheduled_export"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        body: Body<NewScheduledExportBody>,
    ) -> Result<Created<ScheduledExportView>> {
        let (new, claims) = body.0.provisioned()?;
        let table = DataTableId(**id);
        let scope = caller.scope();
        let export = self
            .hub
            .create_scheduled_export(scope, table, new, &claims)
            .await?;
        Ok(Created {
            location: format!(
                "/api/v3/data-tables/{table}/scheduled-exports/{}",
                export.id
            ),
            body: export.try_into()?,
        })
    }

    /// List a data table's scheduled exports
    ///
    /// Returns the scheduled exports of the data table, without secrets. Filters are combined with AND. Fails with 404 if
    /// the data table does not exist.
    #[oai(
        path = "/data-tables/:id/scheduled-exports",
        method = "get",
        operation_id = "list_scheduled_exports"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Only enabled scheduled exports, or with `false` only disabled ones.
        enabled: Query<Option<bool>>,
        /// Text that the name must contain, ignoring case.
        q: Query<Option<Name>>,
        /// Sort key; prefix it with `-` for descending order. Sorted by `created_at` if omitted.
        sort: Query<Option<SortBy<ResourceOrder>>>,
        paging: Paging,
    ) -> Result<Listed<ScheduledExportView>> {
        let scope = caller.scope();
        let table = data::get::<Column>(scope, DataTableId(**id)).await?.id;
        let window = paging.window()?;
        let sort = SortBy::or(sort.0, ResourceOrder::Created);
        let filter = scheduled::Filter {
            enabled: enabled.0,
            search: q.0.map(Name::into_string),
        };
        let page = scheduled::list(scope, table, &filter, sort, &window.stretch).await?;
        let page = page.try_map(ScheduledExportView::try_from)?;
        Ok(window.answer(page, |view| view)?)
    }

    /// Get a scheduled export
    ///
    /// Returns the scheduled export with the time of its next run, without secrets. Fails with 404 if the data table has
    /// no such scheduled export.
    #[oai(
        path = "/data-tables/:id/scheduled-exports/:export_id",
        method = "get",
        operation_id = "get_scheduled_export"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Unique identifier of the scheduled export.
        export_id: Path<Id>,
    ) -> Result<Single<ScheduledExportView>> {
        let (table, export) = (DataTableId(**id), ExportId(**export_id));
        let found = scheduled::get(caller.scope(), table, export).await?;
        Ok(Single(found.try_into()?))
    }

    /// Replace a scheduled export
    ///
    /// Replaces the configuration of the scheduled export; omitted fields are reset to their defaults. A run that has
    /// begun keeps its rows, the name and the format of its file, and sends the file to the new target. An omitted secret
    /// is kept if the type of the target and the address to which the secret is sent stay the same.
    ///
    /// Fails with 400 in the same cases as the creation, and if a secret is omitted although its address has changed.
    /// Fails with 404 if the data table has no such scheduled export.
    #[oai(
        path = "/data-tables/:id/scheduled-exports/:export_id",
        method = "put",
        operation_id = "update_scheduled_export"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Unique identifier of the scheduled export.
        export_id: Path<Id>,
        body: Body<NewScheduledExportBody>,
    ) -> Result<Single<ScheduledExportView>> {
        let (new, claims) = body.0.provisioned()?;
        let (table, export) = (DataTableId(**id), ExportId(**export_id));
        let scope = caller.scope();
        let export = self
            .hub
            .update_scheduled_export(scope, table, export, new, &claims)
            .await?;
        Ok(Single(export.try_into()?))
    }

    /// Delete a scheduled export
    ///
    /// Deletes the scheduled export with the log of its runs, and returns it. Files that were sent stay at the target.
    /// Fails with 404 if the data table has no such scheduled export.
    #[oai(
        path = "/data-tables/:id/scheduled-exports/:export_id",
        method = "delete",
        operation_id = "delete_scheduled_export"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Unique identifier of the scheduled export.
        export_id: Path<Id>,
    ) -> Result<Found<ScheduledExportView>> {
        let (table, export) = (DataTableId(**id), ExportId(**export_id));
        let deleted = scheduled::delete(caller.scope(), table, export).await?;
        Ok(Found(deleted.try_into()?))
    }
}

mirror!(ExportFormat = FileFormat: Csv, Ndjson, Parquet);

impl NewScheduledExportBody {
    fn provisioned(self) -> Result<(NewExport, Vec<Claim>), Error> {
        let Provisioned {
            kind,
            settings,
            claims,
        } = self.target.provisioned()?;
        let new = NewExport {
            name: self.name.into_string(),
            enabled: self.enabled,
            include_existing_rows: self.include_existing_rows,
            file: FileForm {
                format: self.format.into(),
                gzip: self.gzip,
                raw: self.raw,
                units: self.units,
            },
            schedule: self.schedule.into_string(),
            timezone: self.timezone.into_string(),
            kind: kind.to_owned(),
            settings,
            secret: None,
        };
        Ok((new, claims))
    }
}

impl TryFrom<ScheduledExport> for ScheduledExportView {
    type Error = Error;

    fn try_from(export: ScheduledExport) -> Result<Self, Error> {
        let NewExport {
            name,
            enabled,
            include_existing_rows,
            file,
            schedule,
            timezone,
            kind,
            settings,
            secret,
        } = export.provisioned;
        let secrets = SealedCredentials::read(secret.as_deref());
        Ok(Self {
            id: Id::saturating(export.id.0),
            name,
            enabled,
            include_existing_rows,
            format: file.format.into(),
            gzip: file.gzip,
            raw: file.raw,
            units: file.units,
            schedule,
            timezone,
            target: ExportTargetView::new(&kind, settings, &secrets)?,
            next_run_at: export.next_run_at.map(Timestamp),
            last_success_at: export.last_success_at.map(Timestamp),
            revision: Count::saturating(export.revision),
            created_at: Timestamp(export.created_at),
            updated_at: Timestamp(export.updated_at),
        })
    }
}

impl Revised for ScheduledExportView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
