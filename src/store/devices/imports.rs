//! Imports of devices: the job, its rows that wait, and what became of those that are done.
//!
//! The rows wait in batches. One transaction writes the devices of a batch, notes what became of its
//! rows, counts, and takes the batch away: whatever stops the hub, a batch is done once or not yet.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use serde::{Deserialize, Serialize};

use crate::{
    clock,
    error::{Error, Result},
    id::{ApiKeyId, ImportId, TenantId, UserId},
    store::{
        access::tenants,
        core::{
            bulk,
            handle::Store,
            listing::{self, Order, Place, Stretch},
            page::Page,
            removed,
            scope::{Call, Scope},
            transaction::DatabaseTransaction,
        },
        devices::{
            batch::{self, Outcome},
            import::{read, text},
            record::NewDevice,
        },
        entities::{device_import, device_import_batch, device_import_row},
    },
};

pub use super::import::{Batch, Import, NewImport, Row, RowResult, State};

/// What the audit log says of the devices.
const OPERATION: &str = "create_device_import";

/// Imports of one tenant that may wait.
const WAITING_MAX: u64 = 10;

/// Batches that are written down in one transaction, each of some dozen rows.
const BATCHES: usize = 20;

/// How long a finished import is kept.
const KEPT: TimeDelta = TimeDelta::days(30);

/// Who has begun an import.
#[derive(Serialize, Deserialize)]
struct Author {
    user: Option<UserId>,
    api_key: Option<ApiKeyId>,
    name: String,
    address: Option<IpAddr>,
    request_id: String,
}

impl Store {
    /// The imports of all tenants that are not at their end.
    pub async fn unfinished_imports(&self) -> Result<Vec<(TenantId, ImportId)>> {
        let found: Vec<(i64, i64)> = device_import::Entity::find()
            .filter(is_unfinished())
            .filter(removed::is_live(
                device_import::Column::TenantId.into_expr(),
            ))
            .order_by_asc(device_import::Column::Id)
            .select_only()
            .column(device_import::Column::TenantId)
            .column(device_import::Column::Id)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let typed = |(tenant, id)| (TenantId(tenant), ImportId(id));
        Ok(found.into_iter().map(typed).collect())
    }
}

fn is_unfinished() -> sea_orm::sea_query::SimpleExpr {
    device_import::Column::State.is_in([text(State::Queued), text(State::Running)])
}

/// Begins an import: its rows are kept until they are done. They are written in stretches, which nobody sees
/// before the last: what is left of an import that was broken off is cleared away like what was deleted.
pub async fn insert(scope: &Scope, new: NewImport) -> Result<Import> {
    // Before all the writing, and once more when it counts.
    refuse_more(scope, scope.reader()).await?;
    // All hubs tell by it whether somebody still writes it down.
    let (now, writer) = (scope.now(), &scope.store.inner.writer);
    let model = device_import::ActiveModel {
        tenant_id: Set(removed::REMOVED.0),
        created_at: Set(now),
        updated_at: Set(now),
        state: Set(text(State::Queued)),
        format: Set(new.format.to_owned()),
        encoding: Set(Some(new.encoding)),
        delimiter: Set(new.delimiter.map(String::from)),
        on_existing: Set(text(new.on_existing)),
        author: Set(serde_json::to_value(author(scope)).map_err(Error::internal)?),
        rows_total: Set(new.rows_total),
        created: Set(0),
        updated: Set(0),
        skipped: Set(0),
        failed: Set(0),
        finished_at: Set(None),
        ..Default::default()
    }
    .insert(writer)
    .await?;
    let mut stretch = Vec::new();
    for (first_row, rows) in new.batches {
        stretch.push(device_import_batch::ActiveModel {
            tenant_id: Set(scope.tenant.0),
            import_id: Set(model.id),
            first_row: Set(first_row),
            rows: Set(rows),
        });
        if stretch.len() == BATCHES {
            keep(scope, std::mem::take(&mut stretch)).await?;
        }
    }
    keep(scope, stretch).await?;
    show(scope, ImportId(model.id)).await
}

/// Writes a stretch of batches.
async fn keep(scope: &Scope, batches: Vec<device_import_batch::ActiveModel>) -> Result<()> {
    let transaction = scope.store.begin([]).await?;
    let written = bulk::insert(&transaction, batches, None).await;
    Ok(transaction.finish(written).await?)
}

/// Lets the tenant have an import whose rows are all kept, and takes its old ones out of sight.
async fn show(scope: &Scope, id: ImportId) -> Result<Import> {
    use device_import::{Column, Entity};
    scope
        .keep(async |transaction| {
            scope
                .update::<Entity>()
                .col_expr(Column::TenantId, Expr::value(removed::REMOVED.0))
                .filter(Column::FinishedAt.lt(clock::now() - KEPT))
                .exec(&*transaction)
                .await?;
            // Of two who do so at once, each counts what the other has begun.
            tenants::hold(scope, &transaction).await?;
            refuse_more(scope, &*transaction).await?;
            let shown = Entity::update_many()
                .col_expr(Column::TenantId, Expr::value(scope.tenant.0))
                .filter(Column::Id.eq(id.0))
                .exec_with_returning(&*transaction)
                .await?;
            let shown = shown.into_iter().next().ok_or_else(|| missing(id))?;
            Import::try_from(shown)
        })
        .await
}

/// Refuses an import where as many as may wait already.
async fn refuse_more(scope: &Scope, connection: &impl ConnectionTrait) -> Result<()> {
    let waiting = scope
        .find::<device_import::Entity>()
        .filter(is_unfinished())
        .count(connection)
        .await?;
    if waiting >= WAITING_MAX {
        return Err(Error::Conflict(format!(
            "{WAITING_MAX} imports are waiting already; try again when one is done"
        )));
    }
    Ok(())
}

/// The form in which rows wait.
pub fn rows_to_text(rows: &[Row]) -> Result<String> {
    serde_json::to_string(rows).map_err(Error::internal)
}

/// One import.
pub async fn get(scope: &Scope, id: ImportId) -> Result<Import> {
    model(scope, id).await?.try_into()
}

pub(in crate::store) async fn model(scope: &Scope, id: ImportId) -> Result<device_import::Model> {
    scope
        .find::<device_import::Entity>()
        .filter(device_import::Column::Id.eq(id.0))
        .one(scope.reader())
        .await?
        .ok_or_else(|| missing(id))
}

/// A stretch of the imports, the newest first.
pub async fn list(scope: &Scope, stretch: &Stretch) -> Result<Page<Import, Place>> {
    let query = scope.find::<device_import::Entity>();
    let total = listing::total(scope, &query, stretch).await?;
    let order = Order::by_key(device_import::Column::Id.into_expr(), true);
    let found = order.of(query, stretch)?.all(scope.reader()).await?;
    let page = Page::cut(found, stretch.limit, |model| Place::of_key(model.id));
    page.of(total).try_map(Import::try_from)
}

/// A stretch of the rows that are done, in their order.
pub async fn rows(
    scope: &Scope,
    id: ImportId,
    outcome: Option<&str>,
    stretch: &Stretch,
) -> Result<Page<RowResult, Place>> {
    use device_import_row::Column;
    let mut query = scope
        .find::<device_import_row::Entity>()
        .filter(Column::ImportId.eq(id.0));
    if let Some(outcome) = outcome {
        query = query.filter(Column::Outcome.eq(outcome));
    }
    let total = listing::total(scope, &query, stretch).await?;
    let order = Order::by_key(Column::Number.into_expr(), false);
    let found = order.of(query, stretch)?.all(scope.reader()).await?;
    let page = Page::cut(found, stretch.limit, |row| Place::of_key(row.number));
    Ok(page.of(total).map(|row| RowResult {
        number: row.number,
        line: row.line,
        device_id: row.device_id,
        outcome: row.outcome,
        error: row.error,
    }))
}

/// The next rows of an import, of at most so many batches, with the scope to do them in, on behalf of
/// whoever began it; `None` when nothing is left.
pub async fn next_batch(
    scope: &Scope,
    id: ImportId,
    batches: u64,
) -> Result<Option<(Scope, Batch)>> {
    let model = model(scope, id).await?;
    if model.finished_at.is_some() {
        return Ok(None);
    }
    let waiting = scope
        .find::<device_import_batch::Entity>()
        .filter(device_import_batch::Column::ImportId.eq(id.0))
        .order_by_asc(device_import_batch::Column::FirstRow)
        .limit(batches)
        .all(scope.reader())
        .await?;
    if waiting.is_empty() {
        return Ok(None);
    }
    let mut rows = Vec::new();
    for batch in &waiting {
        let mut more: Vec<Row> = serde_json::from_str(&batch.rows).map_err(Error::internal)?;
        rows.append(&mut more);
    }
    let author: Author = serde_json::from_value(model.author).map_err(Error::internal)?;
    let batch = Batch {
        first_rows: waiting.iter().map(|batch| batch.first_row).collect(),
        rows,
        on_existing: read(&model.on_existing)?,
    };
    let scope = scope.on_behalf(Call {
        operation: OPERATION,
        user: author.user,
        api_key: author.api_key,
        name: author.name,
        address: author.address,
        request_id: author.request_id,
        revisions: None,
    });
    Ok(Some((scope, batch)))
}

/// The end of a piece of work on an import.
pub struct Worked {
    /// Nothing is left of the import.
    pub is_done: bool,
    /// How long others waited for the transaction before its COMMIT.
    pub held: Duration,
}

/// Does a batch, in one transaction. What another hub has done meanwhile is left alone.
pub async fn work(scope: &Scope, id: ImportId, batch: Batch) -> Result<Worked> {
    scope
        .write(async |transaction| {
            let begun = Instant::now();
            let worked = |is_done| Worked {
                is_done,
                held: begun.elapsed(),
            };
            // Two hubs on one database take turns here.
            let import = scope
                .find::<device_import::Entity>()
                .filter(device_import::Column::Id.eq(id.0))
                .lock_exclusive()
                .one(&*transaction)
                .await?
                .ok_or_else(|| missing(id))?;
            if import.finished_at.is_some() {
                return Ok(worked(true));
            }
            let batches = batch.first_rows.len() as u64;
            let taken = scope
                .delete::<device_import_batch::Entity>()
                .filter(device_import_batch::Column::ImportId.eq(id.0))
                .filter(device_import_batch::Column::FirstRow.is_in(batch.first_rows.clone()))
                .exec(&*transaction)
                .await?;
            // Another hub has done some of them only: the others are read again.
            match taken.rows_affected {
                0 => return Ok(worked(false)),
                taken if taken != batches => return Err(Error::overloaded("another hub is at it")),
                _ => {}
            }
            let results = write_rows(scope, &transaction, id, batch).await?;
            bulk::insert(&transaction, results.rows, None).await?;
            let left = scope
                .find::<device_import_batch::Entity>()
                .filter(device_import_batch::Column::ImportId.eq(id.0))
                .select_only()
                .column(device_import_batch::Column::FirstRow)
                .into_tuple::<i64>()
                .one(&*transaction)
                .await?;
            let now = clock::now();
            let (state, finished_at) = match left {
                None => (State::Done, Some(now)),
                Some(_) => (State::Running, None),
            };
            let changed = device_import::ActiveModel {
                updated_at: Set(now),
                state: Set(text(state)),
                created: Set(import.created + results.created),
                updated: Set(import.updated + results.updated),
                skipped: Set(import.skipped + results.skipped),
                failed: Set(import.failed + results.failed),
                finished_at: Set(finished_at),
                ..Default::default()
            };
            change(scope, &transaction, id, changed).await?;
            Ok(worked(left.is_none()))
        })
        .await
}

#[derive(Default)]
struct Results {
    rows: Vec<device_import_row::ActiveModel>,
    created: i64,
    updated: i64,
    skipped: i64,
    failed: i64,
}

async fn write_rows(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: ImportId,
    batch: Batch,
) -> Result<Results> {
    let good = batch.rows.iter().filter_map(|row| row.content.clone().ok());
    let good: Vec<NewDevice> = good.collect();
    let outcomes = batch::put(scope, transaction, &good, batch.on_existing).await?;
    let mut outcomes = outcomes.into_iter();
    let mut results = Results::default();
    for row in batch.rows {
        let outcome = match row.content {
            Err(error) => Outcome::Failed(error),
            Ok(_) => outcomes
                .next()
                .ok_or_else(|| Error::internal("a row without an outcome"))?,
        };
        let (count, outcome, error) = match outcome {
            Outcome::Created => (&mut results.created, "created", None),
            Outcome::Updated => (&mut results.updated, "updated", None),
            Outcome::Skipped => (&mut results.skipped, "skipped", None),
            Outcome::Failed(error) => (&mut results.failed, "failed", Some(error)),
        };
        *count += 1;
        results.rows.push(device_import_row::ActiveModel {
            tenant_id: Set(scope.tenant.0),
            import_id: Set(id.0),
            number: Set(row.number),
            line: Set(row.line),
            device_id: Set(row.device_id),
            outcome: Set(outcome.to_owned()),
            error: Set(error),
        });
    }
    Ok(results)
}

/// Ends an import that a fault of ours keeps from going on, unless another hub has brought it to its end; the
/// rows that wait are cleared away with it.
pub async fn give_up(scope: &Scope, id: ImportId) -> Result<()> {
    let now = clock::now();
    scope
        .keep(async |transaction| {
            let changed = device_import::ActiveModel {
                updated_at: Set(now),
                state: Set(text(State::Failed)),
                finished_at: Set(Some(now)),
                ..Default::default()
            };
            change(scope, &transaction, id, changed).await
        })
        .await
}

/// Changes an import, unless it is at its end.
async fn change(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: ImportId,
    changed: device_import::ActiveModel,
) -> Result<()> {
    scope
        .update::<device_import::Entity>()
        .set(changed)
        .filter(device_import::Column::Id.eq(id.0))
        .filter(is_unfinished())
        .exec(transaction)
        .await?;
    Ok(())
}

fn author(scope: &Scope) -> Author {
    let call = scope.call.as_deref();
    Author {
        user: call.and_then(|call| call.user),
        api_key: call.and_then(|call| call.api_key),
        name: call.map_or("the hub", |call| &call.name).to_owned(),
        address: call.and_then(|call| call.address),
        request_id: call.map_or("", |call| &call.request_id).to_owned(),
    }
}

fn missing(id: ImportId) -> Error {
    Error::missing("import", id)
}
