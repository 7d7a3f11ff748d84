//! The tenants' epochs: whether what is kept ready of a tenant still counts.
//!
//! Every transaction that changes what is provisioned moves its tenant's [`Epoch`]. Where several hubs share
//! a database, the epoch stands with the tenant as well, and this hub learns of the others' changes when it
//! writes a batch of messages, and before it refuses or drops anything by what it keeps ready. A tenant that
//! is gone has changed.

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

/// What a transaction knows of its tenants.
pub(in crate::store) struct Learned {
    /// Their epochs; `None`: the tenant is gone.
    pub epochs: HashMap<TenantId, Option<u64>>,
    /// When they were read, by the clock that all hubs share.
    pub time: Time,
}

impl Store {
    /// The epoch of a tenant on this hub.
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

    /// The epochs of these tenants after what other hubs have changed until now, and the time of that by the
    /// clock that all hubs share.
    pub(in crate::store) async fn learn_epochs(
        &self,
        transaction: &DatabaseTransaction,
        tenants: HashSet<TenantId>,
    ) -> Result<Learned, DbErr> {
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
        Ok(Learned {
            epochs: learned.collect(),
            time: time.unwrap_or_else(|| self.now()),
        })
    }
}

impl Scope {
    /// Moves with every change of what the tenant has provisioned that this hub has noticed: what was read at
    /// another epoch may be out of date. Read it before the query whose answer is kept.
    pub fn epoch(&self) -> u64 {
        self.epoch.now()
    }

    /// Learns what other hubs have changed until now. Whoever asks while the database is read is answered by
    /// the next read, together with all others.
    pub async fn catch_up(&self) -> Result<()> {
        if self.store.is_shared() {
            let stored = self.store.inner.stored_epochs.get(self.tenant).await?;
            note(&self.epoch, stored);
        }
        Ok(())
    }

    /// Moves the tenant's epoch in a database that several hubs may share; answers it.
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

/// Reads the epochs of tenants together for all who wait for one.
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

/// The epochs that are stored, and when they were read; `None`: there is none of these tenants.
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
