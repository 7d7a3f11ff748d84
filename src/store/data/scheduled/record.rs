//! Types of scheduled exports, and the columns that store them.

use sea_orm::{ActiveValue::Set, DbErr};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    clock::Time,
    error::Result,
    id::{DataTableId, ExportId},
    secret::Stored,
    store::{
        core::{
            json::{from_column, to_json},
            scope::Scope,
        },
        entities::scheduled_export,
    },
};

/// Format of an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    Csv,
    Ndjson,
    Parquet,
}

/// Form of an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileForm {
    /// Format of the file.
    pub format: FileFormat,
    /// True if the file is compressed with gzip.
    pub gzip: bool,
    /// True for the texts of CSV as they are, false for texts that are safe in spreadsheets.
    pub raw: bool,
    /// True for units in the header line of CSV.
    pub units: bool,
}

/// Configuration of a scheduled export, as clients provide it.
#[derive(Debug, Clone, Serialize)]
pub struct NewExport {
    /// Name, unique in the data table.
    pub name: String,
    /// True if the schedule begins runs.
    pub enabled: bool,
    /// True if the first run exports the rows that existed when the export was created.
    pub include_existing_rows: bool,
    /// Form of the files.
    pub file: FileForm,
    /// Times of the runs, as a cron expression.
    pub schedule: String,
    /// Name of the time zone of the schedule.
    pub timezone: String,
    /// Type of the target.
    pub kind: String,
    /// Settings of the target.
    pub settings: Value,
    /// Sealed credentials.
    #[serde(skip)]
    pub secret: Option<Vec<u8>>,
}

/// Scheduled export of a data table.
#[derive(Debug, Clone)]
pub struct ScheduledExport {
    /// Identifier of the export.
    pub id: ExportId,
    /// Data table.
    pub table: DataTableId,
    /// Configuration, as the client provided it.
    pub provisioned: NewExport,
    /// Time of the next run; `None` while it is disabled.
    pub next_run_at: Option<Time>,
    /// End of the last run that sent its rows.
    pub last_success_at: Option<Time>,
    /// Revision, which grows with every change by a client.
    pub revision: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last change.
    pub updated_at: Time,
}

impl NewExport {
    /// Returns the stored credentials and the settings that determine where they are sent.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            settings: &self.settings,
            secret: self.secret.as_deref(),
        }
    }

    /// Returns true if the schedules are the same.
    pub(super) fn has_schedule_of(&self, other: &Self) -> bool {
        (self.enabled, &self.schedule, &self.timezone)
            == (other.enabled, &other.schedule, &other.timezone)
    }
}

/// Returns the columns of a configuration, without its credentials.
pub(super) fn columns(
    scope: &Scope,
    new: NewExport,
    now: Time,
) -> Result<scheduled_export::ActiveModel> {
    let NewExport {
        name,
        enabled,
        include_existing_rows,
        file,
        schedule,
        timezone,
        kind,
        settings,
        secret: _,
    } = new;
    Ok(scheduled_export::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        updated_at: Set(now),
        name: Set(name),
        enabled: Set(enabled),
        include_existing_rows: Set(include_existing_rows),
        file: Set(to_json(&file)?),
        schedule: Set(schedule),
        timezone: Set(timezone),
        kind: Set(kind),
        settings: Set(settings),
        ..Default::default()
    })
}

impl TryFrom<scheduled_export::Model> for ScheduledExport {
    type Error = DbErr;

    fn try_from(model: scheduled_export::Model) -> Result<Self, DbErr> {
        let scheduled_export::Model {
            tenant_id: _,
            id,
            created_at,
            updated_at,
            revision,
            data_table_id,
            name,
            enabled,
            include_existing_rows,
            file,
            schedule,
            timezone,
            kind,
            settings,
            secret,
            next_run_at,
            position: _,
            runs: _,
            last_success_at,
        } = model;
        Ok(Self {
            id: ExportId(id),
            table: DataTableId(data_table_id),
            provisioned: NewExport {
                name,
                enabled,
                include_existing_rows,
                file: from_column(scheduled_export::Column::File, file)?,
                schedule,
                timezone,
                kind,
                settings,
                secret,
            },
            next_run_at,
            last_success_at,
            revision,
            created_at,
            updated_at,
        })
    }
}
