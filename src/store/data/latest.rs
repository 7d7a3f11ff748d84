//! Devices that have rows in a data table, and the newest rows of each.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, QueryFilter, QueryOrder, QuerySelect, Statement,
    sea_query::{Expr, ExprTrait, Query},
};

use super::{Row, numbers::Matching};
use crate::{
    error::Result,
    id::DataTableId,
    selector::Selector,
    store::{
        core::{
            json::members,
            listing::{Place, Stretch},
            page::Page,
            scope::Scope,
        },
        data::numbers,
        devices::selecting,
        entities::{data_table_row, device},
    },
};

/// Devices to list; all conditions must hold.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Data table.
    pub table: DataTableId,
    /// Identifiers of the devices; empty for all.
    pub devices: Vec<String>,
    /// Selector of the devices.
    pub selector: Option<Selector>,
}

/// Returns a page of the devices that have rows, in the order of their identifiers.
pub async fn devices(
    scope: &Scope,
    listed: &Listed,
    stretch: &Stretch<String>,
) -> Result<Page<String, Place<String>>> {
    let total = match stretch.total {
        true => Some(count(scope, listed).await?),
        false => None,
    };
    let after = stretch.after.as_ref().map_or("", |place| &*place.1);
    let most = stretch.limit.saturating_add(1);
    let found = match listed.selector.is_none() && listed.devices.is_empty() {
        true => in_index(scope, listed.table, after, most).await?,
        false => among_known(scope, listed, after, most).await?,
    };
    let page = Page::cut(found, stretch.limit, |id| Place::of_key(id.clone()));
    Ok(page.of(total))
}

/// Returns the newest rows of a device, newest first.
pub async fn newest(
    scope: &Scope,
    table: DataTableId,
    device: &str,
    limit: u64,
) -> Result<Vec<Row>> {
    use data_table_row::{Column, Entity};
    let rows = scope
        .find::<Entity>()
        .filter(Column::DataTableId.eq(table.0))
        .filter(Column::DeviceId.eq(device))
        .order_by_desc(Column::Ts)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(scope.reader())
        .await?;
    let rows = rows.into_iter().map(|row| Row {
        id: row.id,
        device_id: row.device_id,
        time: row.ts,
        data: members(row.data),
    });
    Ok(rows.collect())
}

async fn count(scope: &Scope, listed: &Listed) -> Result<u64> {
    let matching = Matching {
        source: numbers::Source::Rows(listed.table),
        devices: listed.devices.clone(),
        selector: listed.selector.clone(),
        span: Default::default(),
    };
    numbers::devices(scope, &matching).await
}

/// Finds each device by one step in the index of the rows, however many rows it has.
async fn in_index(
    scope: &Scope,
    table: DataTableId,
    after: &str,
    most: u64,
) -> Result<Vec<String>> {
    let reader = scope.reader();
    let backend = reader.get_database_backend();
    let mark = match backend {
        DbBackend::Postgres => '$',
        _ => '?',
    };
    let next = |after: &str| {
        format!(
            "(SELECT min(device_id) FROM data_table_rows \
             WHERE tenant_id = {mark}1 AND data_table_id = {mark}2 AND device_id > {after})"
        )
    };
    let (first, next) = (next(&format!("{mark}3")), next("d.id"));
    let sql = format!(
        "WITH RECURSIVE d(id) AS (SELECT {first} UNION ALL SELECT {next} FROM d WHERE d.id IS NOT NULL) \
         SELECT id FROM d WHERE id IS NOT NULL LIMIT {most}"
    );
    let values = [scope.tenant.0.into(), table.0.into(), after.into()];
    let statement = Statement::from_sql_and_values(backend, sql, values);
    let found = reader.query_all_raw(statement).await?;
    let ids = found.iter().map(|row| row.try_get_by_index(0));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Finds the devices that are named or selected and have a row.
async fn among_known(
    scope: &Scope,
    listed: &Listed,
    after: &str,
    most: u64,
) -> Result<Vec<String>> {
    let Some(selector) = &listed.selector else {
        let mut ids: Vec<&String> = listed
            .devices
            .iter()
            .filter(|id| id.as_str() > after)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let mut found = Vec::new();
        for id in ids {
            if (found.len() as u64) < most && !newest(scope, listed.table, id, 1).await?.is_empty()
            {
                found.push(id.clone());
            }
        }
        return Ok(found);
    };
    use data_table_row::{Column, Entity};
    let own = Expr::col((device::Entity, device::Column::DeviceId));
    let rows = Query::select()
        .expr(Expr::value(1))
        .from(Entity)
        .and_where(Column::DataTableId.eq(listed.table.0))
        .and_where(Expr::col((Entity, Column::DeviceId)).eq(own))
        .to_owned();
    let mut query = scope
        .find::<device::Entity>()
        .filter(selecting::picked(selector))
        .filter(device::Column::DeviceId.gt(after))
        .filter(Expr::exists(rows));
    if !listed.devices.is_empty() {
        query = query.filter(device::Column::DeviceId.is_in(&listed.devices));
    }
    let found = query
        .order_by_asc(device::Column::DeviceId)
        .limit(most)
        .select_only()
        .column(device::Column::DeviceId)
        .into_tuple()
        .all(scope.reader())
        .await?;
    Ok(found)
}
