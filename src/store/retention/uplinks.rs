//! Old uplinks, by the retention of their tenant.
//!
//! No index has the uplinks of a tenant in the order of recording: it would cost a write per uplink. Old ones are
//! searched by devices instead, many in one statement.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::ExprTrait,
};
use uuid::Uuid;

use super::Sweep;
use crate::{
    clock::Time,
    error::Result,
    id::first_uuid_at,
    store::{
        core::{
            clearing::{Cleared, first},
            gather::padded,
            handle::Store,
            removed,
        },
        entities::{device, tenant, uplink},
    },
};

/// Number of devices that are searched in one statement.
const DEVICES: u64 = 256;
/// Maximum time by which the network's time of an uplink is ahead of the time of recording (`time_ahead_max_s`).
const AHEAD_MAX: TimeDelta = TimeDelta::days(1);

/// Returns the tenants that are not removed, each with its retention in days.
pub async fn tenants(store: &Store) -> Result<HashMap<i64, Option<i32>>> {
    let found: Vec<(i64, Option<i32>)> = removed::live_tenants()
        .select_only()
        .column(tenant::Column::Id)
        .column(tenant::Column::RetentionDays)
        .into_tuple()
        .all(&store.inner.reader)
        .await?;
    Ok(found.into_iter().collect())
}

impl Sweep {
    /// Deletes a chunk of the old uplinks of the next devices.
    pub(super) async fn step_uplinks(&mut self, store: &Store, limit: u64) -> Result<Cleared> {
        let found = match store.begin_search().await? {
            Some(transaction) => {
                let found = self.find(&transaction, limit).await;
                transaction.finish(found).await?
            }
            None => self.find(&store.inner.reader, limit).await?,
        };
        let Some((last, is_full, found)) = found else {
            return Ok(Cleared::NONE);
        };
        use uplink::{Column, Entity};
        let cleared = store
            .clear_found::<Entity, Uuid>(Column::Id, found, limit)
            .await?;
        if cleared.is_more {
            return Ok(cleared);
        }
        self.after = last;
        Ok(Cleared {
            is_more: is_full,
            ..cleared
        })
    }

    /// Returns old uplinks of the next devices, with the last of these devices, and true if there may be more devices;
    /// `None` if no uplink of the remaining devices is old.
    async fn find(
        &self,
        connection: &impl ConnectionTrait,
        limit: u64,
    ) -> Result<Option<(i64, bool, Vec<Uuid>)>, DbErr> {
        // One look spares the walk over all devices, where retention drops partitions and nothing else is old.
        if self.after == 0 && !self.is_any_old(connection).await? {
            return Ok(None);
        }
        let devices: Vec<(i64, i64)> = device::Entity::find()
            .filter(device::Column::Id.gt(self.after))
            .order_by_asc(device::Column::Id)
            .limit(DEVICES)
            .select_only()
            .column(device::Column::Id)
            .column(device::Column::TenantId)
            .into_tuple()
            .all(connection)
            .await?;
        let Some((last, _)) = devices.last().copied() else {
            return Ok(None);
        };
        let is_full = devices.len() as u64 == DEVICES;
        let mut found = Vec::new();
        for (before, keys) in self.by_time(devices) {
            let left = limit - found.len() as u64;
            if left > 0 {
                found.extend(old(connection, before, keys, left).await?);
            }
        }
        Ok(Some((last, is_full, found)))
    }

    /// True if any uplink is older than the shortest retention.
    async fn is_any_old(&self, connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
        let kept = self.tenants.values().filter_map(|days| self.kept_by(*days));
        let Some(before) = kept.map(|kept| self.single_before(kept)).max() else {
            return Ok(false);
        };
        use uplink::{Column, Entity};
        let which = Column::Id.lt(first_uuid_at(before));
        let old: Vec<Uuid> = first::<Entity, Uuid>(connection, Column::Id, which, &[], 1).await?;
        Ok(!old.is_empty())
    }

    /// Groups devices by the time before which their uplinks are old.
    fn by_time(&self, devices: Vec<(i64, i64)>) -> BTreeMap<Time, Vec<i64>> {
        let mut groups: BTreeMap<Time, Vec<i64>> = BTreeMap::new();
        for (key, tenant) in devices {
            let Some(own) = self.tenants.get(&tenant) else {
                continue;
            };
            if let Some(kept) = self.kept_by(*own) {
                groups
                    .entry(self.single_before(kept))
                    .or_default()
                    .push(key);
            }
        }
        groups
    }

    /// Returns the time for which uplinks of a tenant with this retention are kept.
    pub(super) fn kept_by(&self, days: Option<i32>) -> Option<TimeDelta> {
        let own = days.map(|days| TimeDelta::days(days.into()));
        own.or(self.keeping.uplinks)
    }
}

/// Returns uplinks of these devices that were recorded before this time.
async fn old(
    connection: &impl ConnectionTrait,
    before: Time,
    keys: Vec<i64>,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    use uplink::{Column, Entity};
    // The index has the network's time, which may be much earlier than that of recording.
    let which = Column::DeviceKey
        .is_in(padded(keys))
        .and(Column::Ts.lt(before + AHEAD_MAX))
        .and(Column::Id.lt(first_uuid_at(before)));
    first::<Entity, Uuid>(connection, Column::Id, which, &[], limit).await
}
