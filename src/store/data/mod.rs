//! Data tables and their rows.

mod adding;
pub mod conditions;
pub mod filling;
pub mod fills;
pub(super) mod hour_sums;
pub mod importing;
pub mod imports;
pub mod latest;
pub mod number;
pub mod numbers;
pub mod recorded;
pub mod rollups;
pub mod row_hours;
pub mod run;
pub mod runs;
pub mod scheduled;
pub mod sums;

use std::time::Instant;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr,
    QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use self::conditions::ValueCondition;
use super::entities::{data_table, data_table_row};
use crate::{
    clock::Time,
    error::{Error, Result},
    id::DataTableId,
    store::core::{
        audit::subject,
        clearing::{self, Cleared},
        failure,
        json::members,
        listing::{self, Order, Place, Resource, ResourceOrder, Sort, Span, Stretch},
        page::Page,
        removed,
        scope::Scope,
        transaction::DatabaseTransaction,
    },
};

/// Name of the resource in paths.
const RESOURCE: &str = "data-tables";

/// Configuration of a data table, as clients provide it. `C` is one column.
#[derive(Debug, Clone, Serialize)]
pub struct NewDataTable<C> {
    /// Name, unique in the tenant.
    pub name: String,
    /// Description for people.
    pub description: String,
    /// Selector of the devices whose data is stored.
    pub selector: String,
    /// Fields to store; `None` for all.
    pub columns: Option<Vec<C>>,
    /// Time for which rows are kept, in days; `None` for no limit.
    pub retention_days: Option<i32>,
}

/// Data table of a tenant.
#[derive(Debug, Clone)]
pub struct DataTable<C> {
    /// Identifier of the table.
    pub id: DataTableId,
    /// Configuration, as the client provided it.
    pub provisioned: NewDataTable<C>,
    /// Revision, which grows with every change by a client.
    pub revision: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last change.
    pub updated_at: Time,
}

/// Row to add to a data table.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRow {
    /// Data table.
    pub table: DataTableId,
    /// Time of the data.
    pub time: Time,
    /// Values of the columns, as a JSON object.
    pub data: Value,
}

/// Row of a data table: the fields of an uplink.
#[derive(Debug, Clone)]
pub struct Row {
    /// Identifier, which sorts by arrival.
    pub id: Uuid,
    /// Identifier of the device.
    pub device_id: String,
    /// Time at which the network received the uplink.
    pub time: Time,
    /// Values of the columns.
    pub data: Map<String, Value>,
}

/// Filter of rows; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct RowFilter {
    /// Identifier of the device.
    pub device_id: Option<String>,
    /// Period of the rows.
    pub span: Span,
    /// Conditions on the values.
    pub values: Vec<ValueCondition>,
    /// Place after which no rows are returned, in ascending order.
    pub until: Option<Place<Uuid>>,
}

/// Adds a data table.
pub async fn insert<C: Serialize + DeserializeOwned>(
    scope: &Scope,
    new: NewDataTable<C>,
) -> Result<DataTable<C>> {
    let now = scope.now();
    scope
        .write(async |transaction| {
            let model = data_table::ActiveModel {
                created_at: Set(now),
                ..columns(scope, &new, now)
            }
            .insert(&*transaction)
            .await
            .map_err(name_taken)?;
            scope
                .note_created(&transaction, subject(RESOURCE, model.id), &new)
                .await?;
            model.try_into()
        })
        .await
}

/// Returns a data table.
pub async fn get<C: DeserializeOwned>(scope: &Scope, id: DataTableId) -> Result<DataTable<C>> {
    find(scope, id).await?.ok_or_else(|| missing(id))
}

/// Returns a data table; `None` if there is none.
pub async fn find<C: DeserializeOwned>(
    scope: &Scope,
    id: DataTableId,
) -> Result<Option<DataTable<C>>> {
    let found = scope
        .find::<data_table::Entity>()
        .filter(data_table::Column::Id.eq(id.0))
        .one(scope.reader())
        .await?;
    found.map(DataTable::try_from).transpose()
}

/// Returns a page of the data tables whose name or description contains the search text.
pub async fn list<C: DeserializeOwned>(
    scope: &Scope,
    search: Option<&str>,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<DataTable<C>, Place>> {
    let query = scope.find::<data_table::Entity>().filter(
        Condition::all()
            .add_option(search.map(|text| listing::holding(text, data_table::Entity::SEARCHED))),
    );
    let page = listing::resources(scope, query, sort, stretch).await?;
    page.try_map(DataTable::try_from)
}

impl Resource for data_table::Entity {
    const KEY: Self::Column = data_table::Column::Id;
    const NAME: Self::Column = data_table::Column::Name;
    const UPDATED: Self::Column = data_table::Column::UpdatedAt;
    const SEARCHED: &'static [Self::Column] =
        &[data_table::Column::Name, data_table::Column::Description];
}

/// Replaces a table's configuration; existing rows stay unchanged.
pub async fn update<C: Serialize + DeserializeOwned>(
    scope: &Scope,
    id: DataTableId,
    new: NewDataTable<C>,
) -> Result<DataTable<C>> {
    scope
        .write(async |transaction| {
            let before = lock(scope, &transaction, id).await?;
            let mut changed = columns(scope, &new, scope.now());
            changed.revision = Set(before.revision + 1);
            let updated = scope
                .update::<data_table::Entity>()
                .set(changed)
                .filter(data_table::Column::Id.eq(id.0))
                .exec_with_returning(&*transaction)
                .await
                .map_err(name_taken)?;
            let before: DataTable<C> = before.try_into()?;
            scope
                .note_changed(
                    &transaction,
                    subject(RESOURCE, id),
                    &before.provisioned,
                    &new,
                )
                .await?;
            let updated = updated.into_iter().next().ok_or_else(|| missing(id))?;
            updated.try_into()
        })
        .await
}

/// Removes a data table and returns it; its rows are deleted later.
pub async fn delete<C: Serialize + DeserializeOwned>(
    scope: &Scope,
    id: DataTableId,
) -> Result<DataTable<C>> {
    scope
        .write(async |transaction| {
            let table: DataTable<C> = lock(scope, &transaction, id).await?.try_into()?;
            scheduled::bury_of(scope, &transaction, id).await?;
            removed::bury::<data_table::Entity>(data_table::Column::Name)
                .filter(data_table::Column::Id.eq(id.0))
                .exec(&*transaction)
                .await?;
            scope
                .note_deleted(&transaction, subject(RESOURCE, id), &table.provisioned)
                .await?;
            Ok(table)
        })
        .await
}

async fn lock(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: DataTableId,
) -> Result<data_table::Model> {
    let which = data_table::Column::Id.eq(id.0);
    scope
        .lock::<data_table::Entity>(transaction, which, || missing(id))
        .await
}

/// Returns a page of the rows by time.
pub async fn rows(
    scope: &Scope,
    id: DataTableId,
    filter: &RowFilter,
    newest_first: bool,
    stretch: &Stretch<Uuid>,
) -> Result<Page<Row, Place<Uuid>>> {
    let query = filtered(scope, id, filter)?;
    let order = by_time(newest_first);
    let page = listing::section(scope, query, &order, stretch, place).await?;
    Ok(page.map(|row| Row {
        id: row.id,
        device_id: row.device_id,
        time: row.ts,
        data: members(row.data),
    }))
}

/// Returns the place of the last row; `None` if there are no rows.
pub async fn last_place(
    scope: &Scope,
    id: DataTableId,
    filter: &RowFilter,
) -> Result<Option<Place<Uuid>>> {
    let query = filtered(scope, id, filter)?;
    let last = by_time(true)
        .of(query, &Stretch::<Uuid>::first(0))?
        .one(scope.reader())
        .await?;
    Ok(last.as_ref().map(place))
}

/// Deletes the first rows that match, at most `limit`, oldest first. `is_first` adds an entry to the audit log, which
/// stands for all chunks of a request.
pub async fn delete_rows(
    scope: &Scope,
    id: DataTableId,
    filter: &RowFilter,
    limit: u64,
    is_first: bool,
) -> Result<Cleared> {
    use data_table_row::{Column, Entity};
    let keys: Vec<Uuid> = filtered(scope, id, filter)?
        .order_by_asc(Column::Ts)
        .order_by_asc(Column::Id)
        .limit(limit)
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(scope.reader())
        .await?;
    if keys.is_empty() {
        return Ok(Cleared::NONE);
    }
    let is_more = keys.len() as u64 >= limit;
    scope
        .keep(async |transaction| {
            let begun = Instant::now();
            let rows = clearing::delete::<Entity, Uuid>(&transaction, Column::Id, keys).await?;
            if is_first {
                let deleted = json!({"deleted_rows": {
                    "device_id": filter.device_id,
                    "from": filter.span.from,
                    "to": filter.span.to,
                }});
                scope
                    .note_changed(&transaction, subject(RESOURCE, id), &json!({}), &deleted)
                    .await?;
            }
            Ok(Cleared {
                is_more,
                rows,
                held: begun.elapsed(),
            })
        })
        .await
}

fn filtered(
    scope: &Scope,
    id: DataTableId,
    filter: &RowFilter,
) -> Result<Select<data_table_row::Entity>> {
    use data_table_row::Column;
    let mut query = scope
        .find::<data_table_row::Entity>()
        .filter(Column::DataTableId.eq(id.0));
    if let Some(device_id) = &filter.device_id {
        query = query.filter(Column::DeviceId.eq(device_id));
    }
    if let Some(from) = filter.span.from {
        query = query.filter(Column::Ts.gte(from));
    }
    if let Some(to) = filter.span.to {
        query = query.filter(Column::Ts.lt(to));
    }
    let backend = scope.reader().get_database_backend();
    for condition in &filter.values {
        query = query.filter(condition.sql(backend));
    }
    match &filter.until {
        Some(until) => Ok(query.filter(by_time(false).up_to(until)?)),
        None => Ok(query),
    }
}

fn by_time(descending: bool) -> Order {
    use data_table_row::Column;
    Order::by_time(Column::Ts.into_expr(), Column::Id.into_expr(), descending)
}

fn place(row: &data_table_row::Model) -> Place<Uuid> {
    Place::of_time(row.ts, row.id)
}

fn columns<C: Serialize>(
    scope: &Scope,
    new: &NewDataTable<C>,
    now: Time,
) -> data_table::ActiveModel {
    data_table::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        updated_at: Set(now),
        name: Set(new.name.clone()),
        description: Set(new.description.clone()),
        selector: Set(new.selector.clone()),
        columns: Set(new.columns.as_ref().map(|columns| json!(columns))),
        retention_days: Set(new.retention_days),
        ..Default::default()
    }
}

fn missing(id: DataTableId) -> Error {
    Error::missing("data table", id)
}

fn name_taken(error: DbErr) -> Error {
    failure::name_taken(error, "data table")
}

impl<C: DeserializeOwned> TryFrom<data_table::Model> for DataTable<C> {
    type Error = Error;

    fn try_from(model: data_table::Model) -> Result<Self> {
        let data_table::Model {
            tenant_id: _,
            id,
            created_at,
            updated_at,
            revision,
            name,
            description,
            selector,
            columns,
            retention_days,
        } = model;
        let columns = columns
            .map(serde_json::from_value)
            .transpose()
            .map_err(Error::internal)?;
        Ok(Self {
            id: DataTableId(id),
            provisioned: NewDataTable {
                name,
                description,
                selector,
                columns,
                retention_days,
            },
            revision,
            created_at,
            updated_at,
        })
    }
}
