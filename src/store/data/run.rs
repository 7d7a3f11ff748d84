//! Run of a scheduled export: its state, the bounds of its rows, and the name of its file.

use uuid::Uuid;

use super::scheduled::{FileForm, FileFormat};
use crate::{
    clock::Time,
    error::{Error, Result},
    id::{ExportId, ExportRunId},
    store::{
        core::{
            json::from_column,
            words::{of_column, words},
        },
        entities::export_run,
    },
};

/// Maximum length of the part of a file's name that comes from the name of the data table.
const NAME_MAX: usize = 60;
/// State of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A hub sends the file.
    Running,
    /// An attempt has failed, and another one follows.
    Waiting,
    /// The file is complete at the target.
    Succeeded,
    /// There were no rows, and no file was made.
    Empty,
    /// All attempts have failed. The next run of the schedule tries again.
    Failed,
}

words!(State {
    Running = "running",
    Waiting = "waiting",
    Succeeded = "succeeded",
    Empty = "empty",
    Failed = "failed",
});

/// Cause of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The schedule.
    Schedule,
    /// A request of a client.
    Request,
}

words!(Cause {
    Schedule = "schedule",
    Request = "request",
});

/// Run of a scheduled export.
#[derive(Debug, Clone)]
pub struct Run {
    /// Identifier of the run.
    pub id: ExportRunId,
    /// Scheduled export.
    pub export: ExportId,
    /// Number of the run among those of the export.
    pub number: i64,
    /// State of the run.
    pub state: State,
    /// Cause of the run.
    pub cause: Cause,
    /// Rows with greater ids are exported; `None` for all.
    pub after: Option<Uuid>,
    /// Rows with greater ids are not exported.
    pub until: Uuid,
    /// Start of the time in which the rows were recorded; `None` for no start.
    pub window_from: Option<Time>,
    /// End of the time in which the rows were recorded.
    pub window_to: Time,
    /// Name of the file.
    pub file_name: String,
    /// Form of the file.
    pub file: FileForm,
    /// Number of rows in the file, once it is complete.
    pub rows: Option<i64>,
    /// Size of the file in bytes, once it is complete.
    pub bytes: Option<i64>,
    /// Number of attempts.
    pub attempts: i32,
    /// Number of attempts since the schedule or a client last began it.
    pub round: i32,
    /// Reason for which the last attempt failed.
    pub error: Option<String>,
    /// Time of the next attempt.
    pub due_at: Option<Time>,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last change.
    pub updated_at: Time,
    /// End of a run that succeeded or had no rows.
    pub finished_at: Option<Time>,
}

/// Returns the name of a run's file, which no other run has.
pub(super) fn file_name(
    table: &str,
    (from, to): (Option<Time>, Time),
    (export, number): (ExportId, i64),
    file: FileForm,
) -> String {
    let safe = |c: char| match c.is_ascii_alphanumeric() {
        true => c,
        false => '-',
    };
    let table: String = table.chars().take(NAME_MAX).map(safe).collect();
    let parts: Vec<&str> = table.split('-').filter(|part| !part.is_empty()).collect();
    let table = match parts.is_empty() {
        true => "table".to_owned(),
        false => parts.join("-"),
    };
    let at = |time: Time| time.format("%Y%m%dT%H%M%SZ").to_string();
    let from = from.map_or_else(|| "start".to_owned(), at);
    let ending = match file.format {
        FileFormat::Csv => "csv",
        FileFormat::Ndjson => "ndjson",
        FileFormat::Parquet => "parquet",
    };
    let gzip = if file.gzip { ".gz" } else { "" };
    format!("{table}_{from}_{}_{export}-{number}.{ending}{gzip}", at(to))
}

impl TryFrom<export_run::Model> for Run {
    type Error = Error;

    fn try_from(model: export_run::Model) -> Result<Self> {
        Ok(Self {
            id: ExportRunId(model.id),
            export: ExportId(model.export_id),
            number: model.number,
            state: of_column(export_run::Column::State, &model.state)?,
            cause: of_column(export_run::Column::Cause, &model.cause)?,
            after: model.after_id,
            until: model.until_id,
            window_from: model.window_from,
            window_to: model.window_to,
            file_name: model.file_name,
            file: from_column(export_run::Column::File, model.file)?,
            rows: model.row_count,
            bytes: model.byte_count,
            attempts: model.attempts,
            round: model.round,
            error: model.error,
            due_at: model.due_at,
            created_at: model.created_at,
            updated_at: model.updated_at,
            finished_at: model.finished_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_safe_and_tell_runs_apart() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let to = at("2026-11-30T06:00:00Z");
        let file = FileForm {
            format: FileFormat::Csv,
            gzip: true,
            raw: false,
            units: false,
        };
        let name = |table: &str, from| file_name(table, (from, to), (ExportId(3), 12), file);
        assert_eq!(
            name("Klima/../<b>Süd", Some(at("2026-11-29T06:00:00Z"))),
            "Klima-b-S-d_20261129T060000Z_20261130T060000Z_3-12.csv.gz"
        );
        assert_eq!(name("..", None), "table_start_20261130T060000Z_3-12.csv.gz");
        assert!(name(&"x".repeat(120), None).len() < 120);
    }
}
