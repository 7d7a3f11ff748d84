//! Handle on the database.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use sea_orm::{ConnectionTrait, DbBackend};
use tokio::time::timeout;

use super::{
    arrivals::Arrivals,
    connect,
    demand::PoolUse,
    gather::Gather,
    ids::{Ids, Sequences},
    kept::Kept,
    probe::Probe,
    reader::Reader,
    selectors::Selectors,
    shared_clock::SharedClock,
    signals::{Epoch, Signals, Then},
    transaction::{DatabaseTransaction, Writer},
    writability::Writability,
};
use crate::{
    clock::Time,
    error::{Error, Result},
    id::TenantId,
};

/// Timeout of a check of the database.
const CHECK_WITHIN: Duration = Duration::from_secs(3);

/// Database of all tenants.
#[derive(Clone)]
pub struct Store {
    pub(in crate::store) inner: Arc<Inner>,
}

pub(in crate::store) struct Inner {
    /// Writes. SQLite takes one writer at a time, so a single connection makes writers queue here instead of on
    /// SQLite's lock. On PostgreSQL the writer and the reader share a pool.
    pub writer: Writer,
    /// Writes messages, which are many and block each other, with a shorter timeout.
    pub recorder: Writer,
    /// Writes leases, which expire, with a shorter timeout.
    pub leases: Writer,
    pub reader: Reader,
    /// Group read of epochs that other hubs may have moved.
    pub stored_epochs: Gather<TenantId, u64>,
    pub epochs: RwLock<HashMap<TenantId, Arc<Epoch>>>,
    pub selectors: Selectors,
    pub writability: Writability,
    pub probe: Probe,
    pub clock: SharedClock,
    pub sequences: Sequences,
    pub signals: Arc<Signals>,
    /// Mark of messages that arrive.
    pub arrivals: Arrivals,
    /// Values that resources keep with the handle.
    pub kept: Kept,
}

impl Store {
    /// Waits until there may be deliveries that the delivery engine does not know of.
    pub async fn has_work(&self) {
        self.inner.signals.work.notified().await;
    }

    /// True if no outage of writes is known.
    pub fn takes_writes(&self) -> bool {
        self.inner.writability.outage().is_none()
    }

    /// Returns the number of outages since the hub started.
    pub fn outages(&self) -> u64 {
        self.inner.writability.outages()
    }

    /// Returns the use of each pool of connections.
    pub fn pools(&self) -> Vec<PoolUse> {
        let (writer, reader) = (&self.inner.writer, &self.inner.reader);
        let pool = |name, pool, demand| {
            let (open, idle) = connect::size(pool);
            PoolUse::new(name, open, idle, demand)
        };
        match self.is_shared() {
            true => vec![pool(
                "all",
                writer.pool(),
                writer.demand() + reader.demand(),
            )],
            false => vec![
                pool("write", writer.pool(), writer.demand()),
                pool("read", reader.pool(), reader.demand()),
            ],
        }
    }

    /// Checks that the database can be read and written; the error states the reason. Returns within a few seconds,
    /// whatever the database does.
    pub async fn check(&self) -> Result<()> {
        if let Some(outage) = self.inner.writability.outage() {
            return Err(outage.reported());
        }
        // Messages may be stuck on the writer's connection even if another connection works.
        if self.inner.writability.batch_takes() > CHECK_WITHIN {
            return Err(Error::overloaded("messages wait for the database"));
        }
        let checked = async {
            self.inner.reader.execute_unprepared("SELECT 1").await?;
            self.inner.probe.check().await
        };
        timeout(CHECK_WITHIN, checked)
            .await
            .unwrap_or_else(|_| Err(Error::silent("the database does not answer in time")))
    }

    /// Closes all connections.
    pub async fn close(&self) -> Result<()> {
        // The probe's row is not needed any more, and an unwritable database must still be closed.
        if let Err(error) = self.inner.probe.forget().await {
            tracing::debug!("the last write failed: {error}");
        }
        self.inner.reader.close().await?;
        self.inner.writer.close().await?;
        Ok(())
    }

    /// True if other hubs may change the database.
    pub fn is_shared(&self) -> bool {
        self.inner.writer.get_database_backend() == DbBackend::Postgres
    }

    pub(in crate::store) async fn begin(
        &self,
        then: impl IntoIterator<Item = Then>,
    ) -> Result<DatabaseTransaction> {
        Ok(self.inner.writer.begin(then).await?)
    }

    /// Returns the value of this type that resources keep with the handle.
    pub(in crate::store) fn kept<T: Any + Send + Sync>(&self) -> &T {
        self.inner.kept.get()
    }

    /// Returns identifiers for records made at this time, which is read while the owning rows are locked.
    pub(in crate::store) fn ids_at(&self, time: Time) -> Ids {
        self.inner.sequences.recorded_at(time)
    }

    /// Returns identifiers for the current time.
    pub(in crate::store) fn ids(&self) -> Ids {
        self.inner.sequences.others_at(self.now())
    }
}
