//! All that touches the database: the entities and every query.
//!
//! Invariant: a query starts from a [`Scope`], which holds the tenant and puts it into the
//! statement; there is no other way to a table. The exceptions find out who is calling, before a
//! tenant is known, and are all in [`access::identity`]; the delivery queue, which serves all tenants,
//! is in [`deliveries`], the [`networks::subscriptions`] and their [`core::leases`] are of all tenants, too, and
//! the imports that are not at their end are in [`devices::imports`].
//!
//! What all resources share is in [`core`]; the other folders are the same as in `api` and `hub`.
//!
//! Each transaction says as it begins what must follow its commit ([`core::signals`]): [`Scope::write`] what
//! changes what is provisioned, [`Scope::record`] what happened, [`Scope::keep`] what nobody else looks at.

use std::{
    collections::HashMap,
    future::Future,
    net::IpAddr,
    sync::{Arc, RwLock},
    time::Duration,
};

use migrations::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DbBackend, DeleteMany, EntityTrait, QueryFilter, QuerySelect, Select,
    UpdateMany,
    entity::ColumnTrait,
    sea_query::{IntoCondition, LockType},
};

use serde_json::{Map, Value};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Time,
    config::Config,
    error::{Error, Result},
    id::{ApiKeyId, TenantId, UserId},
};

pub use core::file::Lock;

use access::api_keys::ApiKey;
use access::identity::Session;
use core::connect::Purpose;
use core::gather::Gather;
use core::ids::Sequences;
use core::patience::{Bounds, Patience};
use core::reader::Reader;
use core::selecting::Selectors;
use core::shared_clock::SharedClock;
use core::signals::{Epoch, Signals, Then};
use core::transaction::{DatabaseTransaction, Writer};
use core::writability::{Probe, Writability};
use devices::Device;

mod entities;

pub mod access;
pub mod core;
pub mod data;
pub mod deliveries;
pub mod devices;
pub mod downlinks;
pub mod drivers;
pub mod integrations;
pub mod live;
pub mod networks;
pub mod removals;
pub mod sealed;
pub mod uplink_batch;

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
    /// The same for messages, which are many and wait for each other.
    recorder: Writer,
    /// The same for leases, which run out.
    leases: Writer,
    reader: Reader,
    devices: Gather<(TenantId, String), Device>,
    sessions: Gather<[u8; 32], Session>,
    api_keys: Gather<[u8; 32], (TenantId, ApiKey)>,
    /// When the oldest transaction began that is open in a database that hubs share.
    oldest_open: Gather<(), Time>,
    /// The tenants' epochs as other hubs may have moved them.
    stored_epochs: Gather<TenantId, u64>,
    epochs: RwLock<HashMap<TenantId, Arc<Epoch>>>,
    selectors: Selectors,
    /// How long after a frame a copy of it is taken for one, in seconds.
    dedupe_window_s: u64,
    writability: Writability,
    probe: Probe,
    clock: SharedClock,
    sequences: Sequences,
    signals: Arc<Signals>,
}

/// The database as one tenant sees it.
#[derive(Clone)]
pub struct Scope {
    store: Store,
    tenant: TenantId,
    epoch: Arc<Epoch>,
    call: Option<Arc<Call>>,
    /// The idempotency key of the request whose work this is.
    claim: Option<[u8; 32]>,
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
        core::starting::persist(config, async || Self::open_once(config).await).await
    }

    async fn open_once(config: &Config) -> Result<Self> {
        let url = config.database_url();
        if let Some(file) = core::file::path(&url) {
            core::file::prepare(&file).map_err(Error::internal)?;
        }
        core::migrating::up(&url, Duration::from_secs(config.database_timeout_s)).await?;
        let store = Self::connect(config, &url, Purpose::Write).await?;
        if let Err(error) = store.recall_clock_steps().await {
            tracing::warn!("steps of the clock are not known: {}", error.causes());
        }
        store.go_on_from_stored_ids().await?;
        if !store.is_shared()
            && let Err(error) = store.free_claims().await
        {
            tracing::warn!("idempotency keys stay claimed: {}", error.causes());
        }
        Ok(store)
    }

    /// Connects to a database that hubs may be using: its schema is theirs, and must be this program's.
    pub async fn open_beside(config: &Config) -> Result<Self> {
        let url = config.database_url();
        if let Some(file) = core::file::path(&url) {
            // SQLite would make an empty one.
            std::fs::metadata(file).map_err(Error::internal)?;
        }
        let store = Self::connect(config, &url, Purpose::Write).await?;
        match Migrator::get_pending_migrations_read_only(store.inner.writer.pool()).await? {
            pending if pending.is_empty() => Ok(store),
            _ => Err(Error::internal(
                "the schema is older than this program: stop the hub, run `thingshub migrate` first",
            )),
        }
    }

    async fn connect(config: &Config, url: &str, purpose: Purpose) -> Result<Self> {
        let writability = Writability::new(core::connect::backend(url));
        let bounds = Bounds::of(config);
        let is_file = core::connect::backend(url) == DbBackend::Sqlite;
        let (writer, reader) = if is_file {
            let open = async |connections, purpose| {
                core::connect::sqlite(url, connections, purpose, &writability).await
            };
            (
                open(1, purpose).await?,
                open(core::connect::readers(config), Purpose::Read).await?,
            )
        } else {
            let connections = config.database_connections;
            let pool =
                core::connect::postgres(url, connections, &writability, Some(bounds)).await?;
            (pool.clone(), pool)
        };
        let patience = match is_file {
            true => Patience::ENDLESS,
            false => Patience::long(bounds),
        };
        let signals = Arc::new(Signals::default());
        let writer = Writer::new(writer, writability.clone(), patience, signals.clone());
        let reader = Reader::new(reader, writability.clone(), patience);
        let short = |patience: Patience| patience.short(bounds);
        let (recorder, gatherer) = (writer.within(short), reader.within(short));
        let probe = Probe::new(recorder.clone(), writability.clone());
        let store = Self {
            inner: Arc::new(Inner {
                devices: devices::gather(gatherer.clone()),
                sessions: access::identity::gather(gatherer.clone()),
                api_keys: access::identity::gather_keys(gatherer.clone()),
                oldest_open: live::gather(gatherer.clone()),
                stored_epochs: core::epochs::gather(gatherer),
                epochs: RwLock::default(),
                selectors: Selectors::default(),
                dedupe_window_s: config.dedupe_window_s,
                signals,
                writability,
                probe,
                leases: writer.within(|patience| patience.leases(bounds)),
                recorder,
                writer,
                reader,
                clock: SharedClock::default(),
                sequences: Sequences::default(),
            }),
        };
        store.read_time().await?;
        Ok(store)
    }

    /// The database as this tenant sees it.
    pub fn scope(&self, tenant: TenantId) -> Scope {
        Scope {
            store: self.clone(),
            tenant,
            epoch: self.epoch_of(tenant),
            call: None,
            claim: None,
        }
    }

    /// Ends when there may be deliveries that the delivery engine does not know of.
    pub async fn has_work(&self) {
        self.inner.signals.work.notified().await;
    }

    /// Watches whether the database takes writes, and what time it is, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let watching = async { tokio::join!(self.inner.probe.clone().run(), self.follow_time()) };
        let _ = stop.run_until_cancelled(watching).await;
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

    async fn begin(&self, then: impl IntoIterator<Item = Then>) -> Result<DatabaseTransaction> {
        Ok(self.inner.writer.begin(then).await?)
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

    /// The same scope for the work of a request with this idempotency key: its first transaction notes that
    /// it has changed something.
    pub fn on_claim(&self, key_hash: [u8; 32]) -> Self {
        Self {
            claim: Some(key_hash),
            ..self.clone()
        }
    }

    fn find<E: Owned>(&self) -> Select<E> {
        find_of::<E>(self.tenant)
    }

    /// The row to change, as it is until the end of the transaction, if it still has the revision
    /// that the client has seen. Rows that refer to it may be written meanwhile.
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
        self.lock_as::<E>(transaction, LockType::NoKeyUpdate, which, missing)
            .await
    }

    /// The same with another lock: [`LockType::Update`] lets nobody refer to the row meanwhile.
    async fn lock_as<E>(
        &self,
        transaction: &DatabaseTransaction,
        lock: LockType,
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
            .lock(lock)
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

    /// Runs one transaction that changes what is provisioned. Its commit moves the tenant's epoch: what is
    /// kept ready counts no more, on any hub.
    async fn write<T, F>(&self, work: impl FnOnce(Arc<DatabaseTransaction>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (value, transaction) = self.work([], work).await?;
        let stored = self.move_stored_epoch(&transaction).await?;
        transaction.then(Then::Moved(self.epoch.clone(), stored));
        transaction.commit().await?;
        Ok(value)
    }

    /// Runs one transaction that writes down what happened and, once it is committed, tells those who
    /// follow along and the delivery engine. Nothing that is kept ready may depend on it.
    async fn record<T, F>(&self, work: impl FnOnce(Arc<DatabaseTransaction>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (value, transaction) = self.work([Then::News, Then::Work], work).await?;
        transaction.commit().await?;
        Ok(value)
    }

    /// Runs one transaction on what is read anew each time that it is needed, such as sessions: nothing
    /// follows.
    async fn keep<T, F>(&self, work: impl FnOnce(Arc<DatabaseTransaction>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (value, transaction) = self.work([], work).await?;
        transaction.commit().await?;
        Ok(value)
    }

    /// Does the work of a transaction that is still to be committed.
    async fn work<T, F>(
        &self,
        then: impl IntoIterator<Item = Then>,
        work: impl FnOnce(Arc<DatabaseTransaction>) -> F,
    ) -> Result<(T, DatabaseTransaction)>
    where
        F: Future<Output = Result<T>>,
    {
        let transaction = Arc::new(self.store.begin(then).await?);
        let outcome = match work(transaction.clone()).await {
            Ok(value) => self.note_done(&transaction).await.map(|()| value),
            Err(error) => Err(error),
        };
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
