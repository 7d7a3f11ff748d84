//! Work of fills: one transaction writes the rows of a chunk of uplinks and moves the fill's position. Whatever stops
//! the hub, a row is written once or not yet.

use std::collections::{BTreeMap, HashSet};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use serde_json::Value;
use uuid::Uuid;

use super::{NewRow, adding, fills::Fill};
use crate::{
    clock::Time,
    error::Result,
    store::{
        core::{gather::padded, jobs::State, scope::Scope, transaction::DatabaseTransaction},
        devices::{rows::hold_states, uplinks::Uplink},
        entities::{data_table_fill, data_table_row, uplink},
    },
};

/// Number of devices whose present rows one statement looks for.
const DEVICES_AT_ONCE: usize = 50;

/// Uplinks of a chunk whose rows may be missing.
pub struct Chunk {
    /// Identifiers of the uplinks.
    pub uplinks: Vec<Uuid>,
    /// Identifiers of their devices by key.
    pub devices: BTreeMap<i64, String>,
    /// Number of all uplinks of the chunk.
    pub seen: usize,
    /// Last uplink of the chunk; `None` if no uplinks are left.
    pub last: Option<Uuid>,
}

/// New rows of a device, and the uplinks that they are made of.
#[derive(Default)]
struct OfDevice {
    uplinks: HashSet<Uuid>,
    /// Times of the values of the uplinks, also of those that yield no rows.
    times: Vec<Time>,
    new: Vec<(Uuid, NewRow)>,
}

/// Row that the data table has.
struct Present {
    id: Uuid,
    device_id: String,
    time: Time,
    data: Value,
    uplink_id: Option<Uuid>,
}

/// Changes of a data table.
#[derive(Default)]
struct Changes {
    added: Vec<data_table_row::ActiveModel>,
    deleted: Vec<Uuid>,
}

/// Writes the rows of a chunk and advances the fill. `rows_of` makes the rows of an uplink. Does nothing if another hub
/// has already written the chunk.
pub async fn write(
    scope: &Scope,
    fill: &Fill,
    chunk: &Chunk,
    rows_of: impl Fn(&Uplink) -> Vec<NewRow> + Send + Sync,
) -> Result<()> {
    scope
        .record(async |transaction| {
            // Locked first, as the uplink path and redecoding do: nothing else changes the rows of these devices.
            let keys = chunk.devices.keys().copied().collect();
            hold_states(scope, &transaction, keys).await?;
            if !is_next(scope, &transaction, fill).await? {
                return Ok(());
            }
            let by_device = by_device(scope, &transaction, chunk, &rows_of).await?;
            let present = present(scope, &transaction, fill, &by_device).await?;
            let changes = changes(scope, fill, by_device, present);
            let counts = (changes.added.len(), changes.deleted.len());
            adding::delete(scope, &transaction, changes.deleted).await?;
            adding::add(&transaction, changes.added).await?;
            advance(scope, &transaction, fill, chunk, counts).await
        })
        .await
}

/// Locks the fill. Returns false if it is no longer at its position.
async fn is_next(scope: &Scope, transaction: &DatabaseTransaction, fill: &Fill) -> Result<bool> {
    let found = scope
        .find::<data_table_fill::Entity>()
        .filter(data_table_fill::Column::Id.eq(fill.id.0))
        .lock(LockType::Update)
        .one(transaction)
        .await?;
    let is_running = |now: &data_table_fill::Model| now.state == State::Running.as_str();
    Ok(found.is_some_and(|now| is_running(&now) && now.position == fill.position))
}

/// Makes the rows of the chunk's uplinks.
async fn by_device(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    chunk: &Chunk,
    rows_of: impl Fn(&Uplink) -> Vec<NewRow>,
) -> Result<BTreeMap<String, OfDevice>> {
    // Read again under the locks: the uplinks may have been decoded anew.
    let uplinks = scope
        .find::<uplink::Entity>()
        .filter(uplink::Column::Id.is_in(padded(chunk.uplinks.clone())))
        .order_by_asc(uplink::Column::Id)
        .all(transaction)
        .await?;
    let mut by_device: BTreeMap<String, OfDevice> = BTreeMap::new();
    for model in uplinks {
        let Some(device) = chunk.devices.get(&model.device_key) else {
            continue;
        };
        let uplink = Uplink::from(model);
        let of_device = by_device.entry(device.clone()).or_default();
        of_device.uplinks.insert(uplink.id);
        of_device.times.extend(uplink.value_times());
        let rows = rows_of(&uplink).into_iter().map(|row| (uplink.id, row));
        of_device.new.extend(rows);
    }
    Ok(by_device)
}

/// Returns the rows that the data table has of these uplinks, and those of their devices and times that name no uplink.
async fn present(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    fill: &Fill,
    by_device: &BTreeMap<String, OfDevice>,
) -> Result<Vec<Present>> {
    use data_table_row::Column;
    let spans: Vec<Condition> = by_device
        .iter()
        .filter_map(|(device, of_device)| {
            let times = || of_device.times.iter().copied();
            let at = Column::Ts.between(times().min()?, times().max()?);
            Some(Condition::all().add(Column::DeviceId.eq(device)).add(at))
        })
        .collect();
    let uplinks = by_device.values().flat_map(|of_device| &of_device.uplinks);
    let uplinks = padded(uplinks.copied().collect());
    let of_uplinks = Condition::any()
        .add(Column::UplinkId.is_in(uplinks))
        .add(Column::UplinkId.is_null());
    let mut found = Vec::new();
    for spans in spans.chunks(DEVICES_AT_ONCE) {
        let any = spans.iter().cloned().fold(Condition::any(), Condition::add);
        let rows = scope
            .find::<data_table_row::Entity>()
            .filter(Column::DataTableId.eq(fill.table.0))
            .filter(any)
            .filter(of_uplinks.clone())
            .all(transaction)
            .await?;
        found.extend(rows.into_iter().map(|row| Present {
            id: row.id,
            device_id: row.device_id,
            time: row.ts,
            data: row.data,
            uplink_id: row.uplink_id,
        }));
    }
    Ok(found)
}

fn changes(
    scope: &Scope,
    fill: &Fill,
    by_device: BTreeMap<String, OfDevice>,
    present: Vec<Present>,
) -> Changes {
    let mut present_of: BTreeMap<String, Vec<Present>> = BTreeMap::new();
    for row in present {
        present_of
            .entry(row.device_id.clone())
            .or_default()
            .push(row);
    }
    let mut changes = Changes::default();
    for (device, OfDevice { new, .. }) in by_device {
        let present = present_of.remove(&device).unwrap_or_default();
        let missing = match fill.new.is_replacing {
            true => {
                let (missing, replaced) = differences(new, present);
                changes.deleted.extend(replaced);
                missing
            }
            false => missing(new, &present),
        };
        let added = missing
            .into_iter()
            .map(|(uplink, row)| data_table_row::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                id: Set(scope.new_id()),
                data_table_id: Set(fill.table.0),
                device_id: Set(device.clone()),
                ts: Set(row.time),
                data: Set(row.data),
                uplink_id: Set(Some(uplink)),
            });
        changes.added.extend(added);
    }
    changes
}

/// Returns the rows whose uplink has no row at their time.
fn missing(new: Vec<(Uuid, NewRow)>, present: &[Present]) -> Vec<(Uuid, NewRow)> {
    // Imported rows, and those from older versions, have no uplink id.
    let origins: HashSet<(Time, Option<Uuid>)> = present
        .iter()
        .map(|row| (row.time, row.uplink_id))
        .collect();
    let is_present = |uplink: Uuid, time| {
        origins.contains(&(time, Some(uplink))) || origins.contains(&(time, None))
    };
    let missing = new
        .into_iter()
        .filter(|(uplink, row)| !is_present(*uplink, row.time));
    missing.collect()
}

/// Returns the rows that are not there with these values, and the keys of those that they replace. A row that names no
/// uplink is only replaced by a new row of its time.
fn differences(
    new: Vec<(Uuid, NewRow)>,
    present: Vec<Present>,
) -> (Vec<(Uuid, NewRow)>, Vec<Uuid>) {
    let times: HashSet<Time> = new.iter().map(|(_, row)| row.time).collect();
    let mut by_origin: BTreeMap<(Time, Option<Uuid>), Vec<Present>> = BTreeMap::new();
    for row in present {
        let origin = (row.time, row.uplink_id);
        by_origin.entry(origin).or_default().push(row);
    }
    let mut missing = Vec::new();
    for (uplink, row) in new {
        let is_kept = [Some(uplink), None].into_iter().any(|uplink| {
            let rows = by_origin.get_mut(&(row.time, uplink));
            let same = rows.and_then(|rows| {
                let place = rows.iter().position(|present| present.data == row.data)?;
                Some(rows.swap_remove(place))
            });
            same.is_some()
        });
        if !is_kept {
            missing.push((uplink, row));
        }
    }
    let replaced = by_origin
        .into_iter()
        .filter(|((time, uplink), _)| uplink.is_some() || times.contains(time));
    let replaced = replaced.flat_map(|(_, rows)| rows).map(|row| row.id);
    (missing, replaced.collect())
}

async fn advance(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    fill: &Fill,
    chunk: &Chunk,
    (added, deleted): (usize, usize),
) -> Result<()> {
    use data_table_fill::Column;
    let now = scope.now();
    let (state, finished_at) = State::after(chunk.last.is_none(), now);
    let plus = |before: i64, count: usize| {
        Expr::value(before.saturating_add(i64::try_from(count).unwrap_or(i64::MAX)))
    };
    scope
        .update::<data_table_fill::Entity>()
        .col_expr(Column::Position, Expr::value(chunk.last.or(fill.position)))
        .col_expr(Column::Uplinks, plus(fill.uplinks, chunk.seen))
        .col_expr(Column::RowsAdded, plus(fill.rows, added))
        .col_expr(Column::RowsDeleted, plus(fill.deleted, deleted))
        .col_expr(Column::State, Expr::value(state.as_str()))
        .col_expr(Column::FinishedAt, Expr::value(finished_at))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(fill.id.0))
        .exec(transaction)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::id::DataTableId;

    fn time(second: i64) -> Time {
        Time::from_timestamp(second, 0).unwrap()
    }

    fn present(id: u128, second: i64, n: i64, uplink: Option<u128>) -> Present {
        Present {
            id: Uuid::from_u128(id),
            device_id: "d".to_owned(),
            time: time(second),
            data: json!({"n": n}),
            uplink_id: uplink.map(Uuid::from_u128),
        }
    }

    fn new(second: i64, n: i64, uplink: u128) -> (Uuid, NewRow) {
        let row = NewRow {
            table: DataTableId(1),
            time: time(second),
            data: json!({"n": n}),
        };
        (Uuid::from_u128(uplink), row)
    }

    #[test]
    fn what_differs_is_replaced() {
        let is_there = vec![
            present(1, 1, 1, Some(11)),
            present(2, 2, 2, Some(12)),
            present(3, 3, 3, None),
            present(4, 4, 4, None),
            present(5, 5, 5, None),
            present(6, 6, 6, Some(16)),
            present(7, 1, 1, Some(11)),
        ];
        let wanted = vec![
            new(1, 1, 11),
            new(2, 20, 12),
            new(3, 3, 13),
            new(4, 40, 14),
            new(7, 7, 17),
        ];
        let (missing, mut replaced) = differences(wanted.clone(), is_there);
        assert_eq!(
            missing,
            [wanted[1].clone(), wanted[3].clone(), wanted[4].clone()]
        );
        replaced.sort();
        // One of two equal rows is left, and so is the row without an uplink at a time of no new row.
        assert_eq!(replaced, [2, 4, 6, 7].map(Uuid::from_u128));
    }
}
