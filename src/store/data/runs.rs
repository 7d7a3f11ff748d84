//! Runs of scheduled exports.
//!
//! A run begins with the bounds of its rows and the name of its file, and keeps both until its file has arrived: an
//! attempt after a failure, or of another hub, makes the same file. The rows of the next run start where those of the last
//! run that sent its file end, so no row is missed or sent twice.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    recorded::Bound,
    run::{Cause, Run, State, file_name},
    scheduled::{self, ScheduledExport},
};
use crate::{
    clock::Time,
    error::{Error, Reason, Result},
    id::{DataTableId, ExportId, time_of},
    store::{
        core::{
            audit::subject,
            listing::{self, Order, Place, Stretch},
            page::Page,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        entities::{data_table, export_run, scheduled_export},
    },
};

/// Maximum length of the text of an error, in characters.
const ERROR_MAX: usize = 1000;

/// What a hub is to send now.
pub struct Work {
    /// The export.
    pub export: ScheduledExport,
    /// The run.
    pub run: Run,
}

/// Takes what is due of an export: the next attempt of a run that has begun, or a new run. `until` is the bound of a new
/// run's rows, and `next` returns the time of the schedule after now. Returns `None` if nothing is due.
pub async fn take(
    scope: &Scope,
    id: ExportId,
    until: Bound,
    next: impl Fn(&ScheduledExport) -> Option<Time> + Send + Sync,
) -> Result<Option<Work>> {
    scope
        .keep(async |transaction| {
            let now = scope.now();
            let Some(model) = lock(scope, &transaction, id).await? else {
                return Ok(None);
            };
            let (position, runs) = (model.position, model.runs);
            let is_due = model.next_run_at.is_some_and(|at| at <= now);
            let export = ScheduledExport::try_from(model)?;
            let open = open_run(scope, &transaction, id).await?;
            let run = match open {
                Some(run) if run.due_at.is_some_and(|at| at <= now) => {
                    attempt(scope, &transaction, &run, run.round + 1).await?
                }
                Some(run) if run.state == State::Failed && is_due => {
                    // The schedule stays due, so that the rows since then follow in a run of their own.
                    attempt(scope, &transaction, &run, 1).await?
                }
                None if is_due => {
                    let window = Window { position, until };
                    let begun = begin(scope, &transaction, &export, runs, window, Cause::Schedule);
                    let run = begun.await?;
                    schedule(scope, &transaction, id, next(&export)).await?;
                    attempt(scope, &transaction, &run, 1).await?
                }
                Some(run) if is_due && run.state != State::Failed => {
                    // The run that waits for its next attempt comes first.
                    schedule(scope, &transaction, id, next(&export)).await?;
                    return Ok(None);
                }
                _ => return Ok(None),
            };
            Ok(Some(Work { export, run }))
        })
        .await
}

/// Begins a run at the request of a client, or makes the next attempt of a run that waits or has failed due now.
pub async fn request(scope: &Scope, table: DataTableId, id: ExportId, until: Bound) -> Result<Run> {
    scope
        .keep(async |transaction| {
            let now = scope.now();
            let model = lock(scope, &transaction, id).await?;
            let model = model.filter(|model| model.data_table_id == table.0);
            let model = model.ok_or_else(|| scheduled::missing(id))?;
            let (position, runs) = (model.position, model.runs);
            let export = ScheduledExport::try_from(model)?;
            let run = match open_run(scope, &transaction, id).await? {
                Some(run) if run.state == State::Running => {
                    return Err(Error::rejected(
                        Reason::WrongState,
                        format!("run {} of this export is in progress", run.number),
                    ));
                }
                Some(run) => {
                    let changed = export_run::ActiveModel {
                        state: Set(State::Waiting.as_str().to_owned()),
                        round: Set(0),
                        due_at: Set(Some(now)),
                        updated_at: Set(now),
                        ..Default::default()
                    };
                    change(scope, &transaction, &run, changed).await?
                }
                None => {
                    let window = Window { position, until };
                    begin(scope, &transaction, &export, runs, window, Cause::Request).await?
                }
            };
            let noted = json!({"run": {"number": run.number, "file_name": run.file_name}});
            scope
                .note_changed(
                    &transaction,
                    subject(scheduled::RESOURCE, id),
                    &json!({}),
                    &noted,
                )
                .await?;
            Ok(run)
        })
        .await
}

/// Returns a page of the runs of an export, newest first.
pub async fn list(
    scope: &Scope,
    export: ExportId,
    state: Option<State>,
    stretch: &Stretch,
) -> Result<Page<Run, Place>> {
    use export_run::Column;
    let mut query = scope
        .find::<export_run::Entity>()
        .filter(Column::ExportId.eq(export.0));
    if let Some(state) = state {
        query = query.filter(Column::State.eq(state.as_str()));
    }
    let order = Order::by_key(Column::Id.into_expr(), true);
    let page = listing::section(scope, query, &order, stretch, |model| {
        Place::of_key(model.id)
    })
    .await?;
    page.try_map(Run::try_from)
}

/// Returns a run of an export by its number.
pub async fn get(scope: &Scope, export: ExportId, number: i64) -> Result<Run> {
    use export_run::Column;
    let found = scope
        .find::<export_run::Entity>()
        .filter(Column::ExportId.eq(export.0))
        .filter(Column::Number.eq(number))
        .one(scope.reader())
        .await?;
    let missing = || Error::missing("run", number);
    found.ok_or_else(missing)?.try_into()
}

/// Notes the content of a file that is complete and gets its name next.
pub async fn note_made(scope: &Scope, run: &Run, rows: i64, bytes: i64) -> Result<()> {
    scope
        .keep(async |transaction| {
            let changed = export_run::ActiveModel {
                row_count: Set(Some(rows)),
                byte_count: Set(Some(bytes)),
                updated_at: Set(scope.now()),
                ..Default::default()
            };
            change(scope, &transaction, run, changed).await.map(drop)
        })
        .await
}

/// Ends a run whose rows have all been sent, or that has none. The next run starts behind its rows.
pub async fn finish(scope: &Scope, run: &Run, state: State) -> Result<()> {
    scope
        .keep(async |transaction| {
            let now = scope.now();
            if lock(scope, &transaction, run.export).await?.is_none() {
                return Err(scheduled::missing(run.export));
            }
            let changed = export_run::ActiveModel {
                state: Set(state.as_str().to_owned()),
                error: Set(None),
                due_at: Set(None),
                updated_at: Set(now),
                finished_at: Set(Some(now)),
                ..Default::default()
            };
            change(scope, &transaction, run, changed).await?;
            scope
                .update::<scheduled_export::Entity>()
                .col_expr(scheduled_export::Column::Position, Expr::value(run.until))
                .col_expr(scheduled_export::Column::LastSuccessAt, Expr::value(now))
                .filter(scheduled_export::Column::Id.eq(run.export.0))
                .exec(&*transaction)
                .await?;
            Ok(())
        })
        .await
}

/// Notes a failed attempt. Without another one, the run waits for `next`, the following time of the schedule.
pub async fn fail(
    scope: &Scope,
    run: &Run,
    error: &str,
    again_at: Option<Time>,
    next: impl Fn(&ScheduledExport) -> Option<Time> + Send + Sync,
) -> Result<()> {
    scope
        .keep(async |transaction| {
            let now = scope.now();
            let Some(model) = lock(scope, &transaction, run.export).await? else {
                return Err(scheduled::missing(run.export));
            };
            let state = match again_at {
                Some(_) => State::Waiting,
                None => State::Failed,
            };
            let changed = export_run::ActiveModel {
                state: Set(state.as_str().to_owned()),
                error: Set(Some(error.chars().take(ERROR_MAX).collect())),
                due_at: Set(again_at),
                updated_at: Set(now),
                ..Default::default()
            };
            change(scope, &transaction, run, changed).await?;
            if again_at.is_none() && model.next_run_at.is_some_and(|at| at <= now) {
                let export = ScheduledExport::try_from(model)?;
                schedule(scope, &transaction, run.export, next(&export)).await?;
            }
            Ok(())
        })
        .await
}

/// Makes a run wait whose attempt a stop of the hub has interrupted; the attempt does not count as a failed one. The
/// caller has the lease of the export.
pub async fn put_back(scope: &Scope, id: ExportId) -> Result<()> {
    scope
        .keep(async |transaction| {
            if lock(scope, &transaction, id).await?.is_none() {
                return Ok(());
            }
            let open = open_run(scope, &transaction, id).await?;
            let Some(run) = open.filter(|run| run.state == State::Running) else {
                return Ok(());
            };
            let now = scope.now();
            let changed = export_run::ActiveModel {
                state: Set(State::Waiting.as_str().to_owned()),
                round: Set((run.round - 1).max(0)),
                due_at: Set(Some(now)),
                updated_at: Set(now),
                ..Default::default()
            };
            change(scope, &transaction, &run, changed).await.map(drop)
        })
        .await
}

/// Bounds of the rows of a run.
struct Window {
    position: Option<Uuid>,
    until: Bound,
}

/// Locks the row of an export.
async fn lock(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: ExportId,
) -> Result<Option<scheduled_export::Model>> {
    Ok(scope
        .find::<scheduled_export::Entity>()
        .filter(scheduled_export::Column::Id.eq(id.0))
        .lock(LockType::NoKeyUpdate)
        .one(transaction)
        .await?)
}

/// Returns the run whose rows have not been sent.
async fn open_run(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    export: ExportId,
) -> Result<Option<Run>> {
    use export_run::Column;
    let open = [State::Running, State::Waiting, State::Failed].map(State::as_str);
    let found = scope
        .find::<export_run::Entity>()
        .filter(Column::ExportId.eq(export.0))
        .filter(Column::State.is_in(open))
        .order_by_desc(Column::Number)
        .one(transaction)
        .await?;
    found.map(Run::try_from).transpose()
}

/// Stores a new run, which is due at once.
async fn begin(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    export: &ScheduledExport,
    runs: i64,
    window: Window,
    cause: Cause,
) -> Result<Run> {
    let table: Option<String> = scope
        .find::<data_table::Entity>()
        .filter(data_table::Column::Id.eq(export.table.0))
        .select_only()
        .column(data_table::Column::Name)
        .into_tuple()
        .one(transaction)
        .await?;
    let table = table.ok_or_else(|| super::missing(export.table))?;
    let (now, number) = (scope.now(), runs + 1);
    let until = window.until.or_later(window.position);
    let from = window.position.and_then(time_of);
    let file = export.provisioned.file;
    let model = export_run::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        created_at: Set(now),
        updated_at: Set(now),
        export_id: Set(export.id.0),
        number: Set(number),
        state: Set(State::Waiting.as_str().to_owned()),
        cause: Set(cause.as_str().to_owned()),
        after_id: Set(window.position),
        until_id: Set(until.id),
        window_from: Set(from),
        window_to: Set(until.time),
        file_name: Set(file_name(
            &table,
            (from, until.time),
            (export.id, number),
            file,
        )),
        file: Set(json!(file)),
        row_count: Set(None),
        byte_count: Set(None),
        attempts: Set(0),
        round: Set(0),
        error: Set(None),
        due_at: Set(Some(now)),
        finished_at: Set(None),
        ..Default::default()
    }
    .insert(transaction)
    .await?;
    scope
        .update::<scheduled_export::Entity>()
        .col_expr(scheduled_export::Column::Runs, Expr::value(number))
        .filter(scheduled_export::Column::Id.eq(export.id.0))
        .exec(transaction)
        .await?;
    Run::try_from(model)
}

/// Begins an attempt.
async fn attempt(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    run: &Run,
    round: i32,
) -> Result<Run> {
    let now = scope.now();
    let changed = export_run::ActiveModel {
        state: Set(State::Running.as_str().to_owned()),
        attempts: Set(run.attempts + 1),
        round: Set(round),
        // It stays due until it ends, so that another hub goes on when the lease has run out.
        due_at: Set(Some(now)),
        updated_at: Set(now),
        ..Default::default()
    };
    change(scope, transaction, run, changed).await
}

/// Changes a run, unless another hub has begun an attempt since it was read.
async fn change(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    run: &Run,
    changed: export_run::ActiveModel,
) -> Result<Run> {
    let updated = scope
        .update::<export_run::Entity>()
        .set(changed)
        .filter(export_run::Column::Id.eq(run.id.0))
        .filter(export_run::Column::Attempts.eq(run.attempts))
        .exec_with_returning(transaction)
        .await?;
    let model = updated.into_iter().next();
    let lost = || Error::overloaded("another hub has taken the run");
    model.ok_or_else(lost)?.try_into()
}

async fn schedule(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: ExportId,
    at: Option<Time>,
) -> Result<()> {
    scope
        .update::<scheduled_export::Entity>()
        .col_expr(scheduled_export::Column::NextRunAt, Expr::value(at))
        .filter(scheduled_export::Column::Id.eq(id.0))
        .exec(transaction)
        .await?;
    Ok(())
}
