//! The handle on the database.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use sea_orm::{ConnectionTrait, DbBackend};
use tokio::time::timeout;

use super::{
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

/// How long a check of the database may take.
const CHECK_WITHIN: Duration = Duration::from_secs(3);

/// The database, for all tenants.
#[derive(Clone)]
pub struct Store {
    pub(in crate::store) inner: Arc<Inner>,
}

pub(in crate::store) struct Inner {
    /// SQLite takes one writer at a time: one connection, so that writers queue here and not on its
    /// lock. On PostgreSQL writer and reader are one pool.
    pub writer: Writer,
    /// The same for messages, which are many and wait for each other.
    pub recorder: Writer,
    /// The same for leases, which run out.
    pub leases: Writer,
    pub reader: Reader,
    /// The tenants' epochs as other hubs may have moved them.
    pub stored_epochs: Gather<TenantId, u64>,
    pub epochs: RwLock<HashMap<TenantId, Arc<Epoch>>>,
    pub selectors: Selectors,
    pub writability: Writability,
    pub probe: Probe,
    pub clock: SharedClock,
    pub sequences: Sequences,
    pub signals: Arc<Signals>,
    /// What resources keep here.
    pub kept: Kept,
}

impl Store {
    /// Ends when there may be deliveries that the delivery engine does not know of.
    pub async fn has_work(&self) {
        self.inner.signals.work.notified().await;
    }

    /// Whether the last that is known of the database is that it takes writes.
    pub fn takes_writes(&self) -> bool {
        self.inner.writability.outage().is_none()
    }

    /// Whether the database can be read and written; the error says why not. It comes soon, whatever
    /// the database does.
    pub async fn check(&self) -> Result<()> {
        if let Some(outage) = self.inner.writability.outage() {
            return Err(outage.reported());
        }
        // Another connection may do: what all messages wait for is the one that the writer has.
        if self.inner.writability.batch_takes() > CHECK_WITHIN {
            return Err(Error::overloaded("messages wait for the database"));
        }
        let checked = async {
            self.inner.reader.execute_unprepared("SELECT 1").await?;
            self.inner.probe.check().await
        };
        timeout(CHECK_WITHIN, checked)
            .await
            .unwrap_or_else(|_| Err(Error::overloaded("the database does not answer in time")))
    }

    /// Closes the connections.
    pub async fn close(&self) -> Result<()> {
        // Nobody needs this, and a database that cannot be written is closed all the same.
        if let Err(error) = self.inner.probe.forget().await {
            tracing::debug!("the last write failed: {error}");
        }
        self.inner.reader.close().await?;
        self.inner.writer.close().await?;
        Ok(())
    }

    /// Whether other hubs may change what is in the database.
    pub fn is_shared(&self) -> bool {
        self.inner.writer.get_database_backend() == DbBackend::Postgres
    }

    pub(in crate::store) async fn begin(
        &self,
        then: impl IntoIterator<Item = Then>,
    ) -> Result<DatabaseTransaction> {
        Ok(self.inner.writer.begin(then).await?)
    }

    /// What resources keep here under its type.
    pub(in crate::store) fn kept<T: Any + Send + Sync>(&self) -> &T {
        self.inner.kept.get()
    }

    /// Ids of what is recorded at this time, read behind the locks of what it belongs to.
    pub(in crate::store) fn ids_at(&self, time: Time) -> Ids {
        self.inner.sequences.recorded_at(time)
    }

    /// Ids of what happens now.
    pub(in crate::store) fn ids(&self) -> Ids {
        self.inner.sequences.others_at(self.now())
    }
}
