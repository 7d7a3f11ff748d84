//! Epochs of tenants, which invalidate data cached per tenant.
//!
//! Every transaction that changes a tenant's configuration moves its [`Epoch`]. Hubs that share a database also
//! store the epoch with the tenant. A hub reads the stored epochs when it writes a batch of messages, and before it
//! refuses or drops anything because of cached data. A removed tenant counts as changed.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError},
};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use super::{
    gather::{Gather, padded},
    reader::Reader,
    signals::Epoch,
    transaction::DatabaseTransaction,
};
use crate::{
    clock::Time,
    error::Result,
    id::TenantId,
    store::{
        core::{handle::Store, removed, scope::Scope},
        entities::tenant,
    },
};

/// Epochs of tenants, as read in a transaction.
pub(in crate::store) struct ReadEpochs {
    /// Epoch of each tenant; `None` if the tenant has been removed.
    pub epochs: HashMap<TenantId, Option<u64>>,
    /// Time of the read, by the clock that all hubs share.
    pub time: Time,
}

impl Store {
    /// Returns the epoch of a tenant on this hub.
    pub(in crate::store) fn epoch_of(&self, tenant: TenantId) -> Arc<Epoch> {
        let epochs = &self.inner.epochs;
        if let Some(epoch) = epochs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&tenant)
        {
            return epoch.clone();
        }
        let mut epochs = epochs.write().unwrap_or_else(PoisonError::into_inner);
        epochs.entry(tenant).or_default().clone()
    }

    /// Returns the epochs of these tenants, including changes by other hubs, and the time of the read by the clock
    /// that all hubs share.
    pub(in crate::store) async fn learn_epochs(
        &self,
        transaction: &DatabaseTransaction,
        tenants: HashSet<TenantId>,
    ) -> Result<ReadEpochs, DbErr> {
        let asked: Vec<TenantId> = tenants.iter().copied().collect();
        let (stored, time) = match self.is_shared() {
            true => {
                let (stored, time) = read(transaction, asked).await?;
                (Some(stored), time)
            }
            false => (None, None),
        };
        let learned = tenants.into_iter().map(|tenant| {
            let epoch = self.epoch_of(tenant);
            let is_there = stored.as_ref().is_none_or(|stored| {
                let stored = stored.get(&tenant).copied();
                note(&epoch, stored);
                stored.is_some()
            });
            (tenant, is_there.then(|| epoch.now()))
        });
        Ok(ReadEpochs {
            epochs: learned.collect(),
            time: time.unwrap_or_else(|| self.now()),
        })
    }
}

impl Scope {
    /// Returns the tenant's epoch, which moves with every change of its configuration that this hub notices. Data
    /// read at another epoch may be out of date. Read the epoch before the query whose result is cached.
    pub fn epoch(&self) -> u64 {
        self.epoch.now()
    }

    /// Reads the changes that other hubs have made. Concurrent calls share the next read.
    pub async fn catch_up(&self) -> Result<()> {
        if self.store.is_shared() {
            let stored = self.store.inner.stored_epochs.get(self.tenant).await?;
            note(&self.epoch, stored);
        }
        Ok(())
    }

    /// Moves the epoch stored with the tenant and returns it; `None` if the database is not shared.
    pub(in crate::store) async fn move_stored_epoch(
        &self,
        transaction: &DatabaseTransaction,
    ) -> Result<Option<u64>> {
        if !self.store.is_shared() {
            return Ok(None);
        }
        let moved = self
            .update::<tenant::Entity>()
            .col_expr(
                tenant::Column::Epoch,
                Expr::col(tenant::Column::Epoch).add(1),
            )
            .exec_with_returning(transaction)
            .await?;
        Ok(moved.first().map(|tenant| tenant.epoch.unsigned_abs()))
    }
}

/// Starts a group read of stored epochs, which serves concurrent requests with one query.
pub(in crate::store) fn gather(reader: Reader) -> Gather<TenantId, u64> {
    Gather::start(move |tenants| load(reader.clone(), tenants))
}

async fn load(reader: Reader, tenants: Vec<TenantId>) -> Result<HashMap<TenantId, u64>> {
    let (stored, _) = read(&reader, tenants).await?;
    Ok(stored)
}

fn note(epoch: &Epoch, stored: Option<u64>) {
    match stored {
        Some(stored) => epoch.learn(stored),
        None => epoch.move_on(),
    }
}

/// Reads stored epochs and the time of the read; the time is `None` if none of the tenants exists.
async fn read(
    connection: &impl ConnectionTrait,
    tenants: Vec<TenantId>,
) -> Result<(HashMap<TenantId, u64>, Option<Time>), DbErr> {
    let ids = padded(tenants).into_iter().map(|tenant| tenant.0);
    let found: Vec<(i64, i64, Time)> = removed::live_tenants()
        .filter(tenant::Column::Id.is_in(ids))
        .select_only()
        .column(tenant::Column::Id)
        .column(tenant::Column::Epoch)
        .expr_as(Expr::cust("clock_timestamp()"), "time")
        .into_tuple()
        .all(connection)
        .await?;
    let time = found.first().map(|(_, _, time)| *time);
    let typed = |(id, epoch, _): (i64, i64, Time)| (TenantId(id), epoch.unsigned_abs());
    Ok((found.into_iter().map(typed).collect(), time))
}
