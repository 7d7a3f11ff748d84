//! Imports of devices: the job, its waiting rows, and the outcomes of completed rows.
//!
//! The rows wait in batches. One transaction writes the devices of a batch, records the outcomes of its rows,
//! updates the counts, and deletes the batch: whatever stops the hub, a batch is imported once or not yet.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QuerySelect, sea_query::Expr,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Reason, Result},
    id::{ApiKeyId, ImportId, TenantId, UserId},
    store::{
        access::tenants,
        core::{
            batches::{self, batch_table},
            bulk,
            handle::Store,
            jobs::{self, JobTable},
            listing::{self, Order, Place, Stretch},
            page::Page,
            removed,
            scope::{Call, Scope},
            transaction::DatabaseTransaction,
            words,
        },
        devices::{
            batch::{self, Outcome},
            import::text,
            record::NewDevice,
        },
        entities::{device_import, device_import_batch, device_import_row},
    },
};

pub use crate::store::core::batches::rows_to_text;

pub use super::import::{Batch, Import, NewImport, Row, RowResult, State};

batch_table!(device_import_batch);

/// Operation that the audit log names for imported devices.
const OPERATION: &str = "create_device_import";

/// Maximum number of unfinished imports per tenant.
const WAITING_MAX: u64 = 10;

/// Caller who began an import.
#[derive(Serialize, Deserialize)]
struct Author {
    user: Option<UserId>,
    api_key: Option<ApiKeyId>,
    name: String,
    address: Option<IpAddr>,
    request_id: String,
}

impl Store {
    /// Returns the unfinished imports of all tenants.
    pub async fn unfinished_imports(&self) -> Result<Vec<(TenantId, ImportId)>> {
        jobs::unfinished::<device_import::Entity, _>(self, ImportId).await
    }
}

impl JobTable for device_import::Entity {
    const UNFINISHED: &'static [&'static str] = &["queued", "running"];
    const KEY: device_import::Column = device_import::Column::Id;
    const STATE: device_import::Column = device_import::Column::State;
    const UPDATED: device_import::Column = device_import::Column::UpdatedAt;
    const FINISHED: device_import::Column = device_import::Column::FinishedAt;
}

/// Creates an import and stores its rows. The rows are written in several transactions, and the import stays hidden
/// until the last. The leftovers of an interrupted upload are deleted like removed rows.
pub async fn insert(scope: &Scope, new: NewImport) -> Result<Import> {
    // Checked before all the writing, and again when the import becomes visible.
    refuse_more(scope, scope.reader()).await?;
    // Shared time, because all hubs use it to detect whether the import is still being written.
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
    batches::store::<device_import_batch::Entity>(scope, model.id, new.batches).await?;
    show(scope, ImportId(model.id)).await
}

/// Makes a fully stored import visible to the tenant.
async fn show(scope: &Scope, id: ImportId) -> Result<Import> {
    use device_import::{Column, Entity};
    scope
        .keep(async |transaction| {
            // The tenant is locked, so that each of two concurrent calls counts the other's import.
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

/// Fails if the tenant has as many unfinished imports as allowed.
async fn refuse_more(scope: &Scope, connection: &impl ConnectionTrait) -> Result<()> {
    let waiting = scope
        .find::<device_import::Entity>()
        .filter(device_import::Entity::is_unfinished())
        .count(connection)
        .await?;
    if waiting >= WAITING_MAX {
        return Err(Error::rejected(
            Reason::LimitReached,
            format!("{WAITING_MAX} imports are waiting already; try again when one is done"),
        ));
    }
    Ok(())
}

/// Returns an import.
pub async fn get(scope: &Scope, id: ImportId) -> Result<Import> {
    model(scope, id).await?.try_into()
}

pub(in crate::store) async fn model(scope: &Scope, id: ImportId) -> Result<device_import::Model> {
    let found = jobs::find::<device_import::Entity>(scope, id.0).await?;
    found.ok_or_else(|| missing(id))
}

/// Returns a page of the imports, newest first.
pub async fn list(scope: &Scope, stretch: &Stretch) -> Result<Page<Import, Place>> {
    let query = scope.find::<device_import::Entity>();
    let order = Order::by_key(device_import::Column::Id.into_expr(), true);
    let page = listing::section(scope, query, &order, stretch, |model| {
        Place::of_key(model.id)
    })
    .await?;
    page.try_map(Import::try_from)
}

/// Returns a page of the completed rows, in their order.
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
    let order = Order::by_key(Column::Number.into_expr(), false);
    let page = listing::section(scope, query, &order, stretch, |row| {
        Place::of_key(row.number)
    })
    .await?;
    Ok(page.map(|row| RowResult {
        number: row.number,
        line: row.line,
        device_id: row.device_id,
        outcome: row.outcome,
        error: row.error,
    }))
}

/// Returns the next rows of an import, from at most `batches` batches, with a scope on behalf of the import's
/// author; `None` if nothing is left.
pub async fn next_batch(
    scope: &Scope,
    id: ImportId,
    batches: u64,
) -> Result<Option<(Scope, Batch)>> {
    let model = model(scope, id).await?;
    if model.finished_at.is_some() {
        return Ok(None);
    }
    let waiting = batches::first::<device_import_batch::Entity, _>(scope, id.0, batches).await?;
    let Some(waiting) = waiting else {
        return Ok(None);
    };
    let author: Author = serde_json::from_value(model.author).map_err(Error::internal)?;
    let batch = Batch {
        first_rows: waiting.first_rows,
        rows: waiting.rows,
        on_existing: words::of_column(device_import::Column::OnExisting, &model.on_existing)?,
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

/// Number of rows by outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Devices that were created.
    pub created: u32,
    /// Devices that were changed.
    pub updated: u32,
    /// Devices that existed and were left as they were.
    pub skipped: u32,
    /// Rows with errors.
    pub failed: u32,
}

/// Result of processing a batch.
pub struct BatchResult {
    /// Rows of the batch.
    pub counts: Counts,
    /// True if nothing is left of the import.
    pub is_done: bool,
    /// Duration of the transaction before its COMMIT, during which other writers waited.
    pub held: Duration,
}

/// Imports a batch in one transaction. Skips work that another hub has completed meanwhile.
pub async fn work(scope: &Scope, id: ImportId, batch: Batch) -> Result<BatchResult> {
    use device_import_batch::Entity as Batches;
    scope
        .write(async |transaction| {
            let begun = Instant::now();
            let worked = |is_done, counts| BatchResult {
                counts,
                is_done,
                held: begun.elapsed(),
            };
            // The lock serializes two hubs on one database.
            let import = scope
                .find::<device_import::Entity>()
                .filter(device_import::Column::Id.eq(id.0))
                .lock_exclusive()
                .one(&*transaction)
                .await?
                .ok_or_else(|| missing(id))?;
            if import.finished_at.is_some() {
                return Ok(worked(true, Counts::default()));
            }
            if !batches::take::<Batches>(scope, &transaction, id.0, &batch.first_rows).await? {
                return Ok(worked(false, Counts::default()));
            }
            let (rows, counts) = write_rows(scope, &transaction, id, batch).await?;
            bulk::insert(&transaction, rows, None).await?;
            let is_done = !batches::is_more::<Batches>(scope, &transaction, id.0).await?;
            let now = scope.now();
            let (state, finished_at) = match is_done {
                true => (State::Done, Some(now)),
                false => (State::Running, None),
            };
            let changed = device_import::ActiveModel {
                updated_at: Set(now),
                state: Set(text(state)),
                created: Set(import.created + i64::from(counts.created)),
                updated: Set(import.updated + i64::from(counts.updated)),
                skipped: Set(import.skipped + i64::from(counts.skipped)),
                failed: Set(import.failed + i64::from(counts.failed)),
                finished_at: Set(finished_at),
                ..Default::default()
            };
            change(scope, &transaction, id, changed).await?;
            Ok(worked(is_done, counts))
        })
        .await
}

async fn write_rows(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: ImportId,
    batch: Batch,
) -> Result<(Vec<device_import_row::ActiveModel>, Counts)> {
    let good = batch.rows.iter().filter_map(|row| row.content.clone().ok());
    let good: Vec<NewDevice> = good.collect();
    let outcomes = batch::put(scope, transaction, &good, batch.on_existing).await?;
    let mut outcomes = outcomes.into_iter();
    let (mut results, mut counts) = (Vec::new(), Counts::default());
    for row in batch.rows {
        let outcome = match row.content {
            Err(error) => Outcome::Failed(error),
            Ok(_) => outcomes
                .next()
                .ok_or_else(|| Error::internal("a row without an outcome"))?,
        };
        let (count, outcome, error) = match outcome {
            Outcome::Created => (&mut counts.created, "created", None),
            Outcome::Updated => (&mut counts.updated, "updated", None),
            Outcome::Skipped => (&mut counts.skipped, "skipped", None),
            Outcome::Failed(error) => (&mut counts.failed, "failed", Some(error)),
        };
        *count += 1;
        results.push(device_import_row::ActiveModel {
            tenant_id: Set(scope.tenant.0),
            import_id: Set(id.0),
            number: Set(row.number),
            line: Set(row.line),
            device_id: Set(row.device_id),
            outcome: Set(outcome.to_owned()),
            error: Set(error),
        });
    }
    Ok((results, counts))
}

/// Ends an import as failed after an internal error, unless another hub has finished it. Its waiting rows are
/// deleted with it.
pub async fn give_up(scope: &Scope, id: ImportId) -> Result<()> {
    jobs::give_up::<device_import::Entity>(scope, id.0).await
}

/// Changes an import unless it has ended.
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
        .filter(device_import::Entity::is_unfinished())
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
