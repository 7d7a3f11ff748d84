//! All that touches the database: the entities and every query.
//!
//! Invariant: a query starts from a [`Scope`], which holds the tenant and puts it into the
//! statement; there is no other way to a table. The exceptions find out who is calling, before a
//! tenant is known, and are all in [`identity`]; the delivery queue, which serves all tenants,
//! is in [`deliveries`], the subscriptions and their [`leases`] are of all tenants, too, and the imports that are not at their end are in [`device_imports`]. Every write goes through [`Scope::write`], which tells the caches that
//! the tenant has changed.

use std::{
    collections::HashMap,
    future::Future,
    net::IpAddr,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use migrations::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DbBackend, DeleteMany, EntityTrait, QueryFilter, QuerySelect, Select,
    UpdateMany,
    entity::ColumnTrait,
    sea_query::{Expr, IntoCondition},
};

use serde_json::{Map, Value};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    error::{Error, Result},
    id::{ApiKeyId, TenantId, UserId},
};

pub use file::Lock;

use api_keys::ApiKey;
use connect::Purpose;
use devices::Device;
use gather::Gather;
use identity::Session;
use reader::Reader;
use transaction::{DatabaseTransaction, Writer};
use writability::{Probe, Writability};

mod bulk;
mod connect;
mod entities;
mod failure;
mod file;
pub mod followed;
pub mod frames;
mod gather;
mod reader;
mod recent;
mod selecting;

pub mod api_keys;
mod audit;
pub mod audit_log;
pub mod authority;
pub mod data_tables;
pub mod deliveries;
pub mod delivery_policy;
pub mod delivery_replays;
pub mod desired_state;
pub mod device_batch;
pub mod device_bulk;
pub mod device_imports;
pub mod device_list;
pub mod devices;
pub mod downlink_queue;
pub mod downlink_settings;
pub mod downlinks;
pub mod driver_list;
pub mod driver_states;
pub mod driver_tags;
pub mod driver_usage;
pub mod driver_versions;
pub mod drivers;
mod event_deliveries;
pub mod events;
pub mod health;
mod health_change;
pub mod idempotency;
pub mod identity;
pub mod integration_health;
pub mod integrations;
pub mod leases;
pub mod listing;
pub mod live;
pub mod network_connections;
mod receptions;
pub mod record;
pub mod redecodings;
pub mod sealed;
pub mod subscriptions;
pub mod tenants;
mod transaction;
pub mod unknown_devices;
pub mod uplinks;
pub mod users;
mod writability;

/// How long a check of the database may take.
const CHECK_WITHIN: Duration = Duration::from_secs(3);

/// A table whose rows belong to tenants.
pub trait Owned: EntityTrait {
    /// The column that holds the tenant.
    const TENANT: Self::Column;
}

/// The database, for all tenants.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// SQLite takes one writer at a time: one connection, so that writers queue here and not on its
    /// lock. On PostgreSQL writer and reader are one pool.
    writer: Writer,
    reader: Reader,
    devices: Gather<(TenantId, String), Device>,
    sessions: Gather<[u8; 32], Session>,
    api_keys: Gather<[u8; 32], (TenantId, ApiKey)>,
    epochs: RwLock<HashMap<TenantId, Arc<AtomicU64>>>,
    /// How long after a frame a copy of it is taken for one, in seconds.
    dedupe_window_s: u64,
    writability: Writability,
    probe: Probe,
    /// Sent whenever a batch of messages was committed.
    news: watch::Sender<()>,
    /// Told when there are deliveries that nobody else tells the delivery engine of.
    work: Notify,
    /// Sent whenever there are downlinks to look at.
    queued_downlinks: watch::Sender<()>,
    /// Sent whenever a network connection was changed.
    connection_news: watch::Sender<()>,
}

/// The database as one tenant sees it.
#[derive(Clone)]
pub struct Scope {
    store: Store,
    tenant: TenantId,
    epoch: Arc<AtomicU64>,
    call: Option<Arc<Call>>,
}

/// On whose behalf a scope is used: what goes into the audit log, and what the change depends on.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation.
    pub operation: &'static str,
    /// The user, unless a key calls.
    pub user: Option<UserId>,
    /// The API key, unless a user calls.
    pub api_key: Option<ApiKeyId>,
    /// The name of either.
    pub name: String,
    /// Where the call came from.
    pub address: Option<IpAddr>,
    /// The request's id.
    pub request_id: String,
    /// The revisions at which alone a resource may be changed; `None`: at any.
    pub revisions: Option<Vec<i64>>,
}

/// A row that counts its changes.
pub trait Revised {
    /// Grows with every change by a client.
    fn revision(&self) -> i64;
}

/// One stretch of a list.
#[derive(Debug)]
pub struct Page<T, K> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// The place to go on after; `None` at the end.
    pub next: Option<K>,
    /// How many there are on all pages; `None`: it was not asked for.
    pub total: Option<u64>,
}

impl Store {
    /// Connects and brings the schema up to date. Whoever does so holds the [`Lock`].
    pub async fn open(config: &Config) -> Result<Self> {
        let url = config.database_url();
        if let Some(file) = file::path(&url) {
            file::prepare(&file).map_err(Error::internal)?;
        }
        // By connections of their own: those that stay make no file where one was taken away.
        let first = Self::connect(config, &url, Purpose::Create).await?;
        Migrator::up(first.inner.writer.pool(), None).await?;
        if first.is_shared() {
            return Ok(first);
        }
        connect::forget_statistics(first.inner.writer.pool()).await?;
        first.close().await?;
        Self::connect(config, &url, Purpose::Write).await
    }

    /// Connects to a database that hubs may be using: its schema is theirs, and must be this program's.
    pub async fn open_beside(config: &Config) -> Result<Self> {
        let url = config.database_url();
        if let Some(file) = file::path(&url) {
            // SQLite would make an empty one.
            std::fs::metadata(file).map_err(Error::internal)?;
        }
        let store = Self::connect(config, &url, Purpose::Write).await?;
        match Migrator::get_pending_migrations(store.inner.writer.pool()).await? {
            pending if pending.is_empty() => Ok(store),
            _ => Err(Error::internal(
                "the schema is older than this program: stop the hub, run `thingshub migrate` first",
            )),
        }
    }

    async fn connect(config: &Config, url: &str, purpose: Purpose) -> Result<Self> {
        let writability = Writability::new(connect::backend(url));
        let (writer, reader) = if connect::backend(url) == DbBackend::Sqlite {
            let open = async |connections, purpose| {
                connect::sqlite(url, connections, purpose, &writability).await
            };
            (
                open(1, purpose).await?,
                open(connect::readers(config), Purpose::Read).await?,
            )
        } else {
            let connections = config.database_connections;
            let pool = connect::postgres(url, connections, &writability).await?;
            (pool.clone(), pool)
        };
        let writer = Writer::new(writer, writability.clone());
        let reader = Reader::new(reader, writability.clone());
        let probe = Probe::new(writer.clone(), writability.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                devices: devices::gather(reader.clone()),
                sessions: identity::gather(reader.clone()),
                api_keys: identity::gather_keys(reader.clone()),
                epochs: RwLock::default(),
                dedupe_window_s: config.dedupe_window_s,
                news: watch::Sender::new(()),
                work: Notify::new(),
                queued_downlinks: watch::Sender::new(()),
                connection_news: watch::Sender::new(()),
                writability,
                probe,
                writer,
                reader,
            }),
        })
    }

    /// The database as this tenant sees it.
    pub fn scope(&self, tenant: TenantId) -> Scope {
        Scope {
            store: self.clone(),
            tenant,
            epoch: self.epoch_of(tenant),
            call: None,
        }
    }

    /// Ends when there may be deliveries that the delivery engine does not know of.
    pub async fn has_work(&self) {
        self.inner.work.notified().await;
    }

    /// Watches whether the database takes writes, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let _ = stop
            .run_until_cancelled(self.inner.probe.clone().run())
            .await;
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

    fn epoch_of(&self, tenant: TenantId) -> Arc<AtomicU64> {
        let epochs = &self.inner.epochs;
        if let Some(epoch) = epochs
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .get(&tenant)
        {
            return epoch.clone();
        }
        let mut epochs = epochs.write().unwrap_or_else(|e| e.into_inner());
        epochs.entry(tenant).or_default().clone()
    }

    async fn begin(&self) -> Result<DatabaseTransaction> {
        Ok(self.inner.writer.begin().await?)
    }
}

impl Scope {
    /// Whose rows these are.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The same scope on behalf of a call.
    pub fn on_behalf(&self, call: Call) -> Self {
        Self {
            call: Some(Arc::new(call)),
            ..self.clone()
        }
    }

    /// Moves with every change of what the tenant has provisioned: what was read at another epoch
    /// may be out of date. Read it before the query whose answer is kept. Where several hubs share a
    /// database, this one learns of the others' changes when it writes its next batch of messages.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn find<E: Owned>(&self) -> Select<E> {
        find_of::<E>(self.tenant)
    }

    /// The row to change, as it is until the end of the transaction, if it still has the revision
    /// that the client has seen.
    async fn lock<E>(
        &self,
        transaction: &DatabaseTransaction,
        which: impl IntoCondition,
        missing: impl FnOnce() -> Error,
    ) -> Result<E::Model>
    where
        E: Owned,
        E::Model: Revised + Sync,
    {
        let found = self
            .find::<E>()
            .filter(which)
            .lock_exclusive()
            .one(transaction)
            .await?
            .ok_or_else(missing)?;
        self.check_revision(found.revision())?;
        Ok(found)
    }

    /// Refuses a change of what is not as the client has seen it.
    fn check_revision(&self, revision: i64) -> Result<()> {
        match self.call.as_ref().and_then(|call| call.revisions.as_ref()) {
            Some(expected) if !expected.contains(&revision) => Err(Error::Conflict(format!(
                "header If-Match: it has been changed since; its ETag is \"{revision}\" now"
            ))),
            _ => Ok(()),
        }
    }

    fn update<E: Owned>(&self) -> UpdateMany<E> {
        E::update_many().filter(E::TENANT.eq(self.tenant.0))
    }

    fn delete<E: Owned>(&self) -> DeleteMany<E> {
        E::delete_many().filter(E::TENANT.eq(self.tenant.0))
    }

    fn reader(&self) -> &Reader {
        &self.store.inner.reader
    }

    /// Moves the tenant's epoch in a database that several hubs may share.
    async fn tell_other_hubs(&self, transaction: &DatabaseTransaction) -> Result<()> {
        use entities::tenant;
        use sea_orm::sea_query::ExprTrait;
        if self.store.is_shared() {
            self.update::<tenant::Entity>()
                .col_expr(
                    tenant::Column::Epoch,
                    Expr::col(tenant::Column::Epoch).add(1),
                )
                .exec(transaction)
                .await?;
        }
        Ok(())
    }

    /// Lets the caches know.
    fn has_changed(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Runs one transaction that changes what is provisioned and, once it is committed, lets the
    /// caches know.
    async fn write<T, F>(&self, work: impl FnOnce(Arc<DatabaseTransaction>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (value, transaction) = self.work(work).await?;
        self.tell_other_hubs(&transaction).await?;
        transaction.commit().await?;
        self.has_changed();
        Ok(value)
    }

    /// Runs one transaction that writes down what happened and, once it is committed, tells those who
    /// follow along and the delivery engine. Nothing that is kept ready may depend on it.
    async fn record<T, F>(&self, work: impl FnOnce(Arc<DatabaseTransaction>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (value, transaction) = self.work(work).await?;
        transaction.commit().await?;
        self.store.inner.news.send_replace(());
        self.store.inner.work.notify_one();
        Ok(value)
    }

    /// Does the work of a transaction that is still to be committed.
    async fn work<T, F>(
        &self,
        work: impl FnOnce(Arc<DatabaseTransaction>) -> F,
    ) -> Result<(T, DatabaseTransaction)>
    where
        F: Future<Output = Result<T>>,
    {
        let transaction = Arc::new(self.store.begin().await?);
        let outcome = work(transaction.clone()).await;
        let Some(transaction) = Arc::into_inner(transaction) else {
            return Err(Error::internal("a transaction was kept beyond its work"));
        };
        match outcome {
            Ok(value) => Ok((value, transaction)),
            Err(error) => {
                transaction.rollback().await;
                Err(error)
            }
        }
    }
}

fn find_of<E: Owned>(tenant: TenantId) -> Select<E> {
    E::find().filter(E::TENANT.eq(tenant.0))
}

/// The members of a JSON object; none of what is no object.
pub fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Whether a change met its row; without one, the row is missing.
fn met(rows_affected: u64, missing: impl FnOnce() -> Error) -> Result<()> {
    if rows_affected == 0 {
        Err(missing())
    } else {
        Ok(())
    }
}

impl<T, K> Page<T, K> {
    /// Makes a page of `limit` from a query that asked for one more.
    fn cut(mut items: Vec<T>, limit: u64, key: impl Fn(&T) -> K) -> Self {
        let more = items.len() as u64 > limit;
        items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = if more { items.last().map(key) } else { None };
        Self {
            items,
            next,
            total: None,
        }
    }

    /// The page of a list of so many.
    fn of(self, total: Option<u64>) -> Self {
        Self { total, ..self }
    }

    /// The page with other items in it, unless one of them fails.
    pub fn try_map<U>(self, change: impl FnMut(T) -> Result<U>) -> Result<Page<U, K>> {
        let items = self.items.into_iter().map(change).collect::<Result<_>>()?;
        Ok(Page {
            items,
            next: self.next,
            total: self.total,
        })
    }

    /// The page with other items in it.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U, K> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next: self.next,
            total: self.total,
        }
    }
}
