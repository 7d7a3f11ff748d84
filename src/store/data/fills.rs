//! Fills: rows of stored uplinks are added to a data table, chunk by chunk.
//!
//! One transaction adds the rows of a chunk that are missing and moves the fill's position: whatever stops the hub, a
//! row is added once or not yet.

use std::collections::{BTreeMap, HashSet};

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use serde_json::json;
use uuid::Uuid;

use super::{NewRow, adding};
use crate::{
    clock::{self, Time},
    error::{Error, Result},
    id::{DataTableId, FillId, TenantId},
    store::{
        core::{
            audit::subject,
            gather::padded,
            handle::Store,
            jobs::{self, State, owned_jobs},
            listing::{Place, Span, Stretch},
            page::Page,
            scope::Scope,
            transaction::DatabaseTransaction,
            words,
        },
        devices::{rows::hold_states, uplinks::Uplink, walk::Walk},
        entities::{data_table, data_table_fill, data_table_row, uplink},
    },
};

/// Number of devices whose present rows one statement looks for.
const DEVICES_AT_ONCE: usize = 50;

owned_jobs!(data_table_fill of data_table by DataTableId: "fill", "fills are running");

/// Fill to create.
#[derive(Debug, Clone)]
pub struct NewFill {
    /// Start of the period in which the hub received the uplinks, inclusive; `None` for the oldest uplink.
    pub from: Option<Time>,
    /// End of the period, exclusive.
    pub to: Time,
    /// Identifier of the only device; `None` for all.
    pub device_id: Option<String>,
}

/// Fill of a data table from stored uplinks.
#[derive(Debug, Clone)]
pub struct Fill {
    /// Identifier of the fill.
    pub id: FillId,
    /// Data table.
    pub table: DataTableId,
    /// Selection of uplinks.
    pub new: NewFill,
    /// Progress of the fill.
    pub state: State,
    /// Last uplink looked at; `None` at the start.
    pub position: Option<Uuid>,
    /// Number of uplinks looked at.
    pub uplinks: i64,
    /// Number of rows added.
    pub rows: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last progress.
    pub updated_at: Time,
    /// Time at which the fill ended; `None` until then.
    pub finished_at: Option<Time>,
}

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

impl Fill {
    /// Returns the walk over the uplinks that are left.
    pub fn walk(&self) -> Walk {
        Walk {
            span: Span {
                from: self.new.from,
                to: Some(self.new.to),
            },
            device_id: self.new.device_id.clone(),
            position: self.position,
        }
    }
}

impl Store {
    /// Returns the unfinished fills of all tenants.
    pub async fn running_fills(&self) -> Result<Vec<(TenantId, FillId)>> {
        jobs::unfinished::<data_table_fill::Entity, _>(self, FillId).await
    }
}

/// Creates a fill.
pub async fn insert(scope: &Scope, table: DataTableId, new: NewFill) -> Result<Fill> {
    let now = clock::now();
    scope
        .record(async |transaction| {
            let missing = || super::missing(table);
            jobs::make_room::<data_table_fill::Entity>(scope, &transaction, table.0, missing)
                .await?;
            let model = data_table_fill::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                created_at: Set(now),
                updated_at: Set(now),
                data_table_id: Set(table.0),
                state: Set(State::Running.as_str().to_owned()),
                span_from: Set(new.from),
                span_to: Set(new.to),
                device_id: Set(new.device_id),
                position: Set(None),
                uplinks: Set(0),
                rows_added: Set(0),
                finished_at: Set(None),
                ..Default::default()
            }
            .insert(&*transaction)
            .await?;
            let noted = json!({"fill": {
                "id": model.id,
                "device_id": model.device_id,
                "from": new.from,
                "to": new.to,
            }});
            let subject = subject(super::RESOURCE, table);
            scope
                .note_changed(&transaction, subject, &json!({}), &noted)
                .await?;
            model.try_into()
        })
        .await
}

/// Returns a fill of any data table.
pub async fn find(scope: &Scope, id: FillId) -> Result<Option<Fill>> {
    let found = jobs::find::<data_table_fill::Entity>(scope, id.0).await?;
    found.map(Fill::try_from).transpose()
}

/// Returns a fill of a data table.
pub async fn get(scope: &Scope, table: DataTableId, id: FillId) -> Result<Fill> {
    let found = jobs::get::<data_table_fill::Entity>(scope, table.0, id.0).await?;
    found.try_into()
}

/// Returns a page of a data table's fills, newest first.
pub async fn list(
    scope: &Scope,
    table: DataTableId,
    stretch: &Stretch,
) -> Result<Page<Fill, Place>> {
    let page = jobs::list::<data_table_fill::Entity>(scope, table.0, stretch).await?;
    page.try_map(Fill::try_from)
}

/// Adds the missing rows of a chunk and advances the fill. `rows_of` makes the rows of an uplink. Does nothing if
/// another hub has already written the chunk.
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
            let rows = missing_rows(scope, &transaction, fill, chunk, &rows_of).await?;
            let added = rows.len();
            adding::add(&transaction, rows).await?;
            advance(scope, &transaction, fill, chunk, added).await
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

/// Returns the rows of the chunk's uplinks that the data table lacks.
async fn missing_rows(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    fill: &Fill,
    chunk: &Chunk,
    rows_of: impl Fn(&Uplink) -> Vec<NewRow>,
) -> Result<Vec<data_table_row::ActiveModel>> {
    // Read again under the locks: the uplinks may have been decoded anew.
    let uplinks = scope
        .find::<uplink::Entity>()
        .filter(uplink::Column::Id.is_in(padded(chunk.uplinks.clone())))
        .order_by_asc(uplink::Column::Id)
        .all(transaction)
        .await?;
    let mut by_device: BTreeMap<String, Vec<(Uuid, NewRow)>> = BTreeMap::new();
    for model in uplinks {
        let Some(device) = chunk.devices.get(&model.device_key) else {
            continue;
        };
        let uplink = Uplink::from(model);
        let rows = rows_of(&uplink).into_iter().map(|row| (uplink.id, row));
        by_device.entry(device.clone()).or_default().extend(rows);
    }
    by_device.retain(|_, rows| !rows.is_empty());
    let present = present(scope, transaction, fill.table, &by_device).await?;
    let ids = scope.store.ids();
    let mut rows = Vec::new();
    for (device, new) in by_device {
        for (uplink, row) in new {
            // Rows from older versions have no uplink id.
            let is_present = present.contains(&(device.clone(), row.time, Some(uplink)))
                || present.contains(&(device.clone(), row.time, None));
            if is_present {
                continue;
            }
            rows.push(data_table_row::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                id: Set(ids.next()),
                data_table_id: Set(fill.table.0),
                device_id: Set(device.clone()),
                ts: Set(row.time),
                data: Set(row.data),
                uplink_id: Set(Some(uplink)),
            });
        }
    }
    Ok(rows)
}

/// Device, time and uplink of a row.
type Origin = (String, Time, Option<Uuid>);

/// Returns the origins of the rows that the data table has of these devices at these times.
async fn present(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    table: DataTableId,
    by_device: &BTreeMap<String, Vec<(Uuid, NewRow)>>,
) -> Result<HashSet<Origin>> {
    use data_table_row::Column;
    let spans: Vec<Condition> = by_device
        .iter()
        .filter_map(|(device, rows)| {
            let times = || rows.iter().map(|(_, row)| row.time);
            let at = Column::Ts.between(times().min()?, times().max()?);
            Some(Condition::all().add(Column::DeviceId.eq(device)).add(at))
        })
        .collect();
    let mut found = HashSet::new();
    for spans in spans.chunks(DEVICES_AT_ONCE) {
        let any = spans.iter().cloned().fold(Condition::any(), Condition::add);
        let rows: Vec<Origin> = scope
            .find::<data_table_row::Entity>()
            .filter(Column::DataTableId.eq(table.0))
            .filter(any)
            .select_only()
            .columns([Column::DeviceId, Column::Ts, Column::UplinkId])
            .into_tuple()
            .all(transaction)
            .await?;
        found.extend(rows);
    }
    Ok(found)
}

async fn advance(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    fill: &Fill,
    chunk: &Chunk,
    added: usize,
) -> Result<()> {
    use data_table_fill::Column;
    let now = scope.now();
    let (state, finished_at) = State::after(chunk.last.is_none(), now);
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    scope
        .update::<data_table_fill::Entity>()
        .col_expr(Column::Position, Expr::value(chunk.last.or(fill.position)))
        .col_expr(
            Column::Uplinks,
            Expr::value(fill.uplinks + count(chunk.seen)),
        )
        .col_expr(Column::RowsAdded, Expr::value(fill.rows + count(added)))
        .col_expr(Column::State, Expr::value(state.as_str()))
        .col_expr(Column::FinishedAt, Expr::value(finished_at))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(fill.id.0))
        .exec(transaction)
        .await?;
    Ok(())
}

/// Ends a fill as failed after an internal error.
pub async fn give_up(scope: &Scope, id: FillId) -> Result<()> {
    jobs::give_up::<data_table_fill::Entity>(scope, id.0).await
}

impl TryFrom<data_table_fill::Model> for Fill {
    type Error = Error;

    fn try_from(model: data_table_fill::Model) -> Result<Self> {
        Ok(Self {
            id: FillId(model.id),
            table: DataTableId(model.data_table_id),
            new: NewFill {
                from: model.span_from,
                to: model.span_to,
                device_id: model.device_id,
            },
            state: words::of_column(data_table_fill::Column::State, &model.state)?,
            position: model.position,
            uplinks: model.uplinks,
            rows: model.rows_added,
            created_at: model.created_at,
            updated_at: model.updated_at,
            finished_at: model.finished_at,
        })
    }
}
