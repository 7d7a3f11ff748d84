//! Runs of scheduled exports, and tests of their targets.

use poem::Result;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;

use crate::{
    api::{
        http::{
            answer::{Begun, Found},
            caller::Caller,
            mirror::mirror,
            page::Listed,
            paging::Paging,
            types::{Count, Id, Timestamp},
        },
        tag::Tag,
    },
    hub::Hub,
    id::{DataTableId, ExportId},
    store::data::{
        run::{Cause, Run, State},
        runs, scheduled,
    },
};

/// State of a run.
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case", rename = "ExportRunState")]
#[serde(rename_all = "snake_case")]
enum StateView {
    /// The hub is sending the file.
    Running,
    /// The run waits for its first attempt, or for the next one after a failure.
    Waiting,
    /// The file is complete at the target.
    Succeeded,
    /// There were no new rows, and no file was made.
    Empty,
    /// All attempts have failed. The next run of the schedule tries again with the same rows and the same file.
    Failed,
}

/// Cause of a run.
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case", rename = "ExportRunCause")]
#[serde(rename_all = "snake_case")]
enum CauseView {
    /// The schedule.
    Schedule,
    /// A request of a client.
    Request,
}

/// A run of a scheduled export.
#[derive(Object, Serialize)]
#[oai(rename = "ExportRun")]
struct ExportRunView {
    /// Number of the run among those of the scheduled export, starting at 1.
    number: Count,
    /// State of the run.
    state: StateView,
    /// Cause of the run.
    cause: CauseView,
    /// Start of the time in which the hub recorded the rows of the file; null for the first row of the data table.
    recorded_from: Option<Timestamp>,
    /// End of the time in which the hub recorded the rows of the file.
    recorded_to: Timestamp,
    /// Name of the file at the target.
    file_name: String,
    /// Number of rows in the file; null until all of them have been sent.
    rows: Option<Count>,
    /// Size of the file in bytes; null until all of them have been sent.
    bytes: Option<Count>,
    /// Number of attempts so far.
    attempts: Count,
    /// Reason for which the last attempt failed; null if it did not.
    error: Option<String>,
    /// Time of the next attempt of a waiting run; null in other states.
    next_attempt_at: Option<Timestamp>,
    /// Time at which the run began.
    started_at: Timestamp,
    /// Time of the last change of the run.
    updated_at: Timestamp,
    /// Time at which the run succeeded or turned out to have no rows; null until then.
    finished_at: Option<Timestamp>,
}

/// Result of the test of a target.
#[derive(Object, Serialize)]
#[oai(rename = "ExportTest")]
struct ExportTestView {
    /// Whether the hub could write a file to the target and remove it.
    is_successful: bool,
    /// Reason for which it could not; null if it could.
    error: Option<String>,
    /// Fingerprint of the key that an SFTP server has shown, as `host_key` of the target expects it. Compare it with the
    /// fingerprint that the server's operator gives you. Null for other targets, and if no server answered.
    host_key: Option<String>,
    /// Duration of the test in milliseconds.
    duration_ms: Count,
}

/// Endpoints of `data-tables/{id}/scheduled-exports/{export_id}/runs` and `.../test`.
pub struct ExportRunsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::DataTables")]
impl ExportRunsApi {
    /// Run a scheduled export now
    ///
    /// Begins a run, which sends the rows that were recorded since the last run that succeeded, whether or not the
    /// scheduled export is enabled. Rows of the last seconds may be left to the next run. If a run waits for its next
    /// attempt or has failed, its next attempt begins instead.
    ///
    /// Fails with 400 if a run is in progress, and with 404 if the data table has no such scheduled export.
    #[oai(
        path = "/data-tables/:id/scheduled-exports/:export_id/runs",
        method = "post",
        operation_id = "create_export_run"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Unique identifier of the scheduled export.
        export_id: Path<Id>,
    ) -> Result<Begun<ExportRunView>> {
        let (table, export) = (DataTableId(**id), ExportId(**export_id));
        let scope = caller.scope();
        let run = self.hub.begin_export_run(scope, table, export).await?;
        let runs = format!("/api/v3/data-tables/{table}/scheduled-exports/{export}/runs");
        Ok(Begun {
            location: format!("{runs}/{}", run.number),
            body: run.into(),
        })
    }

    /// List the runs of a scheduled export
    ///
    /// Returns the runs of the scheduled export, newest first. Runs that have ended are removed after `job_keep_days`
    /// (30 days). Fails with 404 if the data table has no such scheduled export.
    #[oai(
        path = "/data-tables/:id/scheduled-exports/:export_id/runs",
        method = "get",
        operation_id = "list_export_runs"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Unique identifier of the scheduled export.
        export_id: Path<Id>,
        /// Only runs in this state.
        state: Query<Option<StateView>>,
        paging: Paging,
    ) -> Result<Listed<ExportRunView>> {
        let (table, export) = (DataTableId(**id), ExportId(**export_id));
        let scope = caller.scope();
        let export = scheduled::get(scope, table, export).await?.id;
        let window = paging.window()?;
        let state = state.0.map(State::from);
        let page = runs::list(scope, export, state, &window.stretch).await?;
        Ok(window.answer(page, ExportRunView::from)?)
    }

    /// Get a run of a scheduled export
    ///
    /// Returns a run with its state. Runs that have ended are removed after `job_keep_days` (30 days).
    ///
    /// Fails with 404 if the data table has no such scheduled export, or the scheduled export no run with this number.
    #[oai(
        path = "/data-tables/:id/scheduled-exports/:export_id/runs/:number",
        method = "get",
        operation_id = "get_export_run"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Unique identifier of the scheduled export.
        export_id: Path<Id>,
        /// Number of the run.
        number: Path<Id>,
    ) -> Result<Found<ExportRunView>> {
        let scope = caller.scope();
        let export = scheduled::get(scope, DataTableId(**id), ExportId(**export_id)).await?;
        let run = runs::get(scope, export.id, **number).await?;
        Ok(Found(run.into()))
    }

    /// Test a scheduled export
    ///
    /// Writes a small file to the target, removes it, and returns the result. For an SFTP server, the result has the
    /// fingerprint of the server's key. Runs and rows are not affected.
    ///
    /// Fails with 404 if the data table has no such scheduled export, and with 503 while four tests of the tenant are
    /// running.
    #[oai(
        path = "/data-tables/:id/scheduled-exports/:export_id/test",
        method = "post",
        operation_id = "test_scheduled_export"
    )]
    async fn test(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Unique identifier of the scheduled export.
        export_id: Path<Id>,
    ) -> Result<Found<ExportTestView>> {
        let (table, export) = (DataTableId(**id), ExportId(**export_id));
        let scope = caller.scope();
        let (tested, duration_ms) = self.hub.test_scheduled_export(scope, table, export).await?;
        Ok(Found(ExportTestView {
            is_successful: tested.error.is_none(),
            error: tested.error,
            host_key: tested.host_key,
            duration_ms: Count::saturating(duration_ms),
        }))
    }
}

mirror!(StateView = State: Running, Waiting, Succeeded, Empty, Failed);
mirror!(CauseView = Cause: Schedule, Request);

impl From<Run> for ExportRunView {
    fn from(run: Run) -> Self {
        let is_waiting = run.state == State::Waiting;
        Self {
            number: Count::saturating(run.number),
            state: run.state.into(),
            cause: run.cause.into(),
            recorded_from: run.window_from.map(Timestamp),
            recorded_to: Timestamp(run.window_to),
            file_name: run.file_name,
            rows: run.rows.map(Count::saturating),
            bytes: run.bytes.map(Count::saturating),
            attempts: Count::saturating(i64::from(run.attempts)),
            error: run.error,
            next_attempt_at: run.due_at.filter(|_| is_waiting).map(Timestamp),
            started_at: Timestamp(run.created_at),
            updated_at: Timestamp(run.updated_at),
            finished_at: run.finished_at.map(Timestamp),
        }
    }
}
