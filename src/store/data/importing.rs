//! Work of imports of rows: one transaction adds the rows of a batch, records those that it refuses, updates the counts,
//! and deletes the batch. Whatever stops the hub, a batch is imported once or not yet.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter, QuerySelect, sea_query::Expr};
use serde_json::Value;

use super::{
    adding,
    imports::{Content, Row, missing},
};
use crate::{
    clock::Time,
    error::Result,
    id::{DataTableId, RowImportId},
    store::{
        core::{
            batches::{self, Waiting},
            bulk,
            gather::padded,
            jobs::{self, State},
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        devices::rows::hold_states,
        entities::{
            data_table, data_table_import, data_table_import_batch, data_table_import_row,
            data_table_row, device,
        },
    },
};

/// Rows that are imported together, from one or more waiting batches.
pub struct Batch(Waiting<Row>);

/// Result of processing a batch.
pub struct BatchResult {
    /// True if nothing is left of the import.
    pub is_done: bool,
    /// Duration of the transaction before its COMMIT, during which other writers waited.
    pub held: Duration,
}

#[derive(Default)]
struct Outcome {
    added: Vec<data_table_row::ActiveModel>,
    skipped: i64,
    failed: Vec<data_table_import_row::ActiveModel>,
}

/// Returns the next rows of an import, from at most `batches` batches; `None` if nothing is left.
pub async fn next_batch(scope: &Scope, id: RowImportId, batches: u64) -> Result<Option<Batch>> {
    let import = jobs::find::<data_table_import::Entity>(scope, id.0).await?;
    let import = import.ok_or_else(|| missing(id))?;
    if import.finished_at.is_some() {
        return Ok(None);
    }
    let waiting = batches::first::<data_table_import_batch::Entity, _>(scope, id.0, batches);
    Ok(waiting.await?.map(Batch))
}

/// Imports a batch in one transaction. Skips work that another hub has completed meanwhile.
pub async fn work(scope: &Scope, id: RowImportId, Batch(batch): Batch) -> Result<BatchResult> {
    use data_table_import_batch::Entity as Batches;
    scope
        .record(async |transaction| {
            let begun = Instant::now();
            let worked = |is_done| BatchResult {
                is_done,
                held: begun.elapsed(),
            };
            // Locked first, as the uplink path does: nothing else changes the rows of these devices.
            let devices = hold_devices(scope, &transaction, &batch.rows).await?;
            // The lock serializes two hubs on one database.
            let import = scope
                .find::<data_table_import::Entity>()
                .filter(data_table_import::Column::Id.eq(id.0))
                .lock_exclusive()
                .one(&*transaction)
                .await?
                .ok_or_else(|| missing(id))?;
            if import.finished_at.is_some() {
                return Ok(worked(true));
            }
            if !batches::take::<Batches>(scope, &transaction, id.0, &batch.first_rows).await? {
                return Ok(worked(false));
            }
            let table = DataTableId(import.data_table_id);
            let oldest = oldest(scope, &transaction, table).await?;
            let present = present(scope, &transaction, table, &batch.rows).await?;
            let rules = Rules {
                scope,
                import: id,
                table,
                devices,
                oldest,
                present,
            };
            let outcome = rules.apply(batch.rows);
            let counts = [
                (
                    data_table_import::Column::Added,
                    import.added + count(outcome.added.len()),
                ),
                (
                    data_table_import::Column::Skipped,
                    import.skipped + outcome.skipped,
                ),
                (
                    data_table_import::Column::Failed,
                    import.failed + count(outcome.failed.len()),
                ),
            ];
            adding::add(&transaction, outcome.added).await?;
            bulk::insert(&transaction, outcome.failed, None).await?;
            let is_done = !batches::is_more::<Batches>(scope, &transaction, id.0).await?;
            advance(scope, &transaction, id, is_done, counts).await?;
            Ok(worked(is_done))
        })
        .await
}

/// Locks the states of the batch's devices. Returns the devices that exist.
async fn hold_devices(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    rows: &[Row],
) -> Result<HashSet<String>> {
    use device::{Column, Entity};
    let named: BTreeSet<&str> = contents(rows).map(|content| &*content.device_id).collect();
    let named: Vec<String> = named.into_iter().map(ToOwned::to_owned).collect();
    let found: Vec<(i64, String)> = scope
        .find::<Entity>()
        .filter(Column::DeviceId.is_in(padded(named)))
        .select_only()
        .columns([Column::Id, Column::DeviceId])
        .into_tuple()
        .all(transaction)
        .await?;
    let mut found: HashMap<i64, String> = found.into_iter().collect();
    let states = hold_states(scope, transaction, found.keys().copied().collect()).await?;
    // A device that was deleted meanwhile has no state any more.
    let held = states
        .iter()
        .filter_map(|state| found.remove(&state.device_key));
    Ok(held.collect())
}

/// Returns the time before which the data table keeps no rows; `None` if it keeps all.
async fn oldest(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    table: DataTableId,
) -> Result<Option<Time>> {
    let found = scope
        .find::<data_table::Entity>()
        .filter(data_table::Column::Id.eq(table.0))
        .one(transaction)
        .await?
        .ok_or_else(|| super::missing(table))?;
    let kept = found.retention_days;
    let kept = kept.and_then(|days| TimeDelta::try_days(days.into()));
    Ok(kept.and_then(|kept| scope.now().checked_sub_signed(kept)))
}

/// Returns the number of rows that the data table has of the batch's devices at its times.
async fn present(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    table: DataTableId,
    rows: &[Row],
) -> Result<HashMap<(String, Time), u32>> {
    use data_table_row::{Column, Entity};
    let mut times: BTreeMap<&str, BTreeSet<Time>> = BTreeMap::new();
    for content in contents(rows) {
        let times = times.entry(&content.device_id).or_default();
        times.insert(content.time);
    }
    let mut found = HashMap::new();
    // One statement for each device: SQLite would read the whole table for a condition on several.
    for (device, times) in times {
        let rows: Vec<(String, Time)> = scope
            .find::<Entity>()
            .filter(Column::DataTableId.eq(table.0))
            .filter(Column::DeviceId.eq(device))
            .filter(Column::Ts.is_in(padded(times.into_iter().collect())))
            .select_only()
            .columns([Column::DeviceId, Column::Ts])
            .into_tuple()
            .all(transaction)
            .await?;
        for row in rows {
            *found.entry(row).or_default() += 1;
        }
    }
    Ok(found)
}

/// Decides about the rows of a batch.
struct Rules<'a> {
    scope: &'a Scope,
    import: RowImportId,
    table: DataTableId,
    devices: HashSet<String>,
    oldest: Option<Time>,
    present: HashMap<(String, Time), u32>,
}

impl Rules<'_> {
    fn apply(&self, rows: Vec<Row>) -> Outcome {
        let mut outcome = Outcome::default();
        for row in rows {
            let checked = row.content.and_then(|content| self.checked(content));
            match checked {
                Ok(content) if self.is_present(&content) => outcome.skipped += 1,
                Ok(content) => outcome.added.push(self.added(content)),
                Err(error) => outcome.failed.push(data_table_import_row::ActiveModel {
                    tenant_id: Set(self.scope.tenant.0),
                    import_id: Set(self.import.0),
                    number: Set(row.number),
                    line: Set(row.line),
                    device_id: Set(row.device_id),
                    error: Set(error),
                }),
            }
        }
        outcome
    }

    fn checked(&self, content: Content) -> Result<Content, String> {
        if !self.devices.contains(&content.device_id) {
            return Err(format!(
                "device_id: there is no device \"{}\"",
                content.device_id
            ));
        }
        if self.oldest.is_some_and(|oldest| content.time < oldest) {
            return Err("time: must not be older than the retention_days of the data table".into());
        }
        Ok(content)
    }

    /// True if the data table has a row in this one's place: of several rows of one device and time, the first in the
    /// file stands for the first that is there, and so on. The data are not compared.
    fn is_present(&self, content: &Content) -> bool {
        let place = (content.device_id.clone(), content.time);
        self.present
            .get(&place)
            .is_some_and(|present| *present > content.before)
    }

    fn added(&self, content: Content) -> data_table_row::ActiveModel {
        data_table_row::ActiveModel {
            tenant_id: Set(self.scope.tenant.0),
            id: Set(self.scope.new_id()),
            data_table_id: Set(self.table.0),
            device_id: Set(content.device_id),
            ts: Set(content.time),
            data: Set(Value::Object(content.data)),
            uplink_id: Set(None),
        }
    }
}

async fn advance(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: RowImportId,
    is_done: bool,
    counts: [(data_table_import::Column, i64); 3],
) -> Result<()> {
    use data_table_import::{Column, Entity};
    let now = scope.now();
    let (state, finished_at) = State::after(is_done, now);
    let mut update = scope
        .update::<Entity>()
        .col_expr(Column::State, Expr::value(state.as_str()))
        .col_expr(Column::FinishedAt, Expr::value(finished_at))
        .col_expr(Column::UpdatedAt, Expr::value(now));
    for (column, count) in counts {
        update = update.col_expr(column, Expr::value(count));
    }
    update.filter(Column::Id.eq(id.0)).exec(transaction).await?;
    Ok(())
}

fn contents(rows: &[Row]) -> impl Iterator<Item = &Content> {
    rows.iter().filter_map(|row| row.content.as_ref().ok())
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
