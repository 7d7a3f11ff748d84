//! Uplinks of a device before and after a given one.

use sea_orm::{
    ColumnTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    error::Result,
    id::{DeviceKey, TenantId},
    store::{
        core::{rows::find_of, scope::Scope},
        devices::uplinks::Uplink,
        entities::uplink,
    },
};

/// True if the device has an uplink before this one.
pub async fn has_older(scope: &Scope, device: DeviceKey, uplink: &Uplink) -> Result<bool> {
    let found = older(scope.tenant, device, uplink)
        .select_only()
        .column(uplink::Column::Id)
        .limit(1)
        .into_tuple::<Uuid>()
        .one(scope.reader())
        .await?;
    Ok(found.is_some())
}

/// Returns the query for the uplinks of a device before this one.
fn older(tenant: TenantId, device: DeviceKey, than: &Uplink) -> Select<uplink::Entity> {
    use uplink::Column;
    let Places { row, of_uplink } = places(than);
    // The separate condition on the time makes the database use the index, which it does not for a pair.
    find_of::<uplink::Entity>(tenant)
        .filter(Column::DeviceKey.eq(device.0))
        .filter(Column::Ts.lte(than.time))
        .filter(row.lt(of_uplink))
}

/// Returns the query for the uplinks of a device after this one, in their order.
pub(in crate::store) fn newer(
    tenant: TenantId,
    device: DeviceKey,
    than: &Uplink,
) -> Select<uplink::Entity> {
    use uplink::Column;
    let Places { row, of_uplink } = places(than);
    find_of::<uplink::Entity>(tenant)
        .filter(Column::DeviceKey.eq(device.0))
        .filter(Column::Ts.gte(than.time))
        .filter(row.gt(of_uplink))
        .order_by_asc(Column::Ts)
}

/// Places among the uplinks of a device, in SQL.
struct Places {
    /// Place of a row.
    row: Expr,
    /// Place of a given uplink.
    of_uplink: Expr,
}

/// Returns the place of a row and that of this uplink.
fn places(uplink: &Uplink) -> Places {
    use uplink::Column;
    Places {
        row: Expr::tuple([Column::Ts.into_expr(), Column::Id.into_expr()]),
        of_uplink: Expr::tuple([Expr::value(uplink.time), Expr::value(uplink.id)]),
    }
}

#[cfg(test)]
mod tests {
    use migrations::{Migrator, MigratorTrait};
    use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement};

    use serde_json::Map;

    use super::*;
    use crate::store::core::{
        connect::{self, Purpose},
        writability::Writability,
    };
    use crate::{
        clock,
        id::{ConnectionId, new_uuid},
    };

    #[tokio::test]
    async fn an_index_leads_to_a_place_among_uplinks() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/t.db", folder.path().display());
        let state = Writability::new(DbBackend::Sqlite);
        let pool = connect::sqlite(&url, 1, Purpose::Create, &state).await;
        let pool = pool.unwrap();
        Migrator::up(&pool, None).await.unwrap();
        let uplink = Uplink {
            id: new_uuid(),
            connection: ConnectionId(1),
            received_at: clock::now(),
            time: clock::now(),
            f_port: None,
            f_cnt: None,
            raw: None,
            radio: Map::new(),
            data: None,
            updates: None,
            failure: None,
        };
        let (tenant, device) = (TenantId(1), DeviceKey(1));
        for (query, by) in [
            (older(tenant, device, &uplink), "device_key=? AND ts<?"),
            (newer(tenant, device, &uplink), "device_key=? AND ts>?"),
        ] {
            let Statement { sql, values, .. } = query.build(DbBackend::Sqlite);
            let explain = Statement {
                sql: format!("EXPLAIN QUERY PLAN {sql}"),
                values,
                db_backend: DbBackend::Sqlite,
            };
            let rows = pool.query_all_raw(explain).await.unwrap();
            let steps: Vec<String> = rows
                .iter()
                .map(|row| row.try_get("", "detail").unwrap())
                .collect();
            assert_eq!(steps.len(), 1, "nothing is sorted: {steps:?}");
            assert!(steps[0].contains(by), "{steps:?}");
        }
    }
}
