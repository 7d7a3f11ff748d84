//! View of the database for one tenant, from which all of the tenant's queries and transactions start.

use std::{future::Future, net::IpAddr, sync::Arc};

use sea_orm::{
    DeleteMany, QueryFilter, QuerySelect, Select, UpdateMany,
    entity::ColumnTrait,
    sea_query::{IntoCondition, LockType},
};
use uuid::Uuid;

use super::{
    handle::Store,
    part::Size,
    reader::Reader,
    room::{Room, Rooms},
    rows::{Owned, Revised, find_of},
    signals::{Epoch, Then},
    transaction::DatabaseTransaction,
};
use crate::{
    error::{Error, Reason, Result},
    id::{ApiKeyId, TenantId, UserId},
};

/// Database as one tenant sees it.
#[derive(Clone)]
pub struct Scope {
    pub(in crate::store) store: Store,
    pub(in crate::store) tenant: TenantId,
    pub(in crate::store) epoch: Arc<Epoch>,
    pub(in crate::store) call: Option<Arc<Call>>,
    /// Hash of the idempotency key of the current request.
    pub(in crate::store) claim: Option<[u8; 32]>,
}

/// Caller of an operation, for the audit log, and the caller's preconditions.
#[derive(Debug, Clone)]
pub struct Call {
    /// Name of the operation.
    pub operation: &'static str,
    /// Calling user; `None` if an API key calls.
    pub user: Option<UserId>,
    /// Calling API key; `None` if a user calls.
    pub api_key: Option<ApiKeyId>,
    /// Name of the user or the API key.
    pub name: String,
    /// Network address of the caller.
    pub address: Option<IpAddr>,
    /// Identifier of the request.
    pub request_id: String,
    /// Revisions at which a resource may be changed; `None` for any.
    pub revisions: Option<Vec<i64>>,
}

impl Store {
    /// Returns the database as this tenant sees it.
    pub fn scope(&self, tenant: TenantId) -> Scope {
        Scope {
            store: self.clone(),
            tenant,
            epoch: self.epoch_of(tenant),
            call: None,
            claim: None,
        }
    }
}

impl Scope {
    /// Returns the tenant of the scope.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Returns the scope on behalf of a call.
    pub fn on_behalf(&self, call: Call) -> Self {
        Self {
            call: Some(Arc::new(call)),
            ..self.clone()
        }
    }

    /// Returns the scope for a request with this idempotency key: its first transaction records that it has changed
    /// something.
    pub fn on_claim(&self, key_hash: [u8; 32]) -> Self {
        Self {
            claim: Some(key_hash),
            ..self.clone()
        }
    }

    /// Reserves memory for a page of this size.
    ///
    /// # Errors
    /// Fails with an overload if the tenant, or all tenants together, have too many large pages.
    pub fn room(&self, size: Size) -> Result<Room> {
        self.store.kept::<Rooms>().take(self.tenant, size.memory())
    }

    pub(in crate::store) fn find<E: Owned>(&self) -> Select<E> {
        find_of::<E>(self.tenant)
    }

    /// Locks the row to change until the end of the transaction. Fails if its revision is not the one that the
    /// client has seen. Rows that refer to it may still be written.
    pub(in crate::store) async fn lock<E>(
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

    /// Does the same with another lock; [`LockType::Update`] also blocks new references to the row.
    pub(in crate::store) async fn lock_as<E>(
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

    /// Fails if the revision is none of those that the client accepts.
    pub(in crate::store) fn check_revision(&self, revision: i64) -> Result<()> {
        match self.call.as_ref().and_then(|call| call.revisions.as_ref()) {
            Some(expected) if !expected.contains(&revision) => Err(Error::of_field(
                Reason::StaleRevision,
                "header If-Match",
                format!("it has been changed since; its ETag is \"{revision}\" now"),
            )),
            _ => Ok(()),
        }
    }

    pub(in crate::store) fn update<E: Owned>(&self) -> UpdateMany<E> {
        E::update_many().filter(E::TENANT.eq(self.tenant.0))
    }

    pub(in crate::store) fn delete<E: Owned>(&self) -> DeleteMany<E> {
        E::delete_many().filter(E::TENANT.eq(self.tenant.0))
    }

    pub(in crate::store) fn reader(&self) -> &Reader {
        &self.store.inner.reader
    }

    /// Runs one transaction that changes configuration. Its commit moves the tenant's epoch, which invalidates
    /// caches on all hubs.
    pub(in crate::store) async fn write<T, F>(
        &self,
        work: impl FnOnce(Arc<DatabaseTransaction>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (value, transaction) = self.work([], work).await?;
        let stored = self.move_stored_epoch(&transaction).await?;
        transaction.then(Then::Moved(self.epoch.clone(), stored));
        transaction.commit().await?;
        Ok(value)
    }

    /// Runs one transaction that records events. Its commit notifies subscribers and the delivery engine. No cache
    /// may depend on the data.
    pub(in crate::store) async fn record<T, F>(
        &self,
        work: impl FnOnce(Arc<DatabaseTransaction>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (value, transaction) = self.work([Then::News, Then::Work], work).await?;
        transaction.commit().await?;
        Ok(value)
    }

    /// Runs one transaction on data that is read again on each use, such as sessions; its commit sends no signals.
    pub(in crate::store) async fn keep<T, F>(
        &self,
        work: impl FnOnce(Arc<DatabaseTransaction>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (value, transaction) = self.work([], work).await?;
        transaction.commit().await?;
        Ok(value)
    }

    /// Runs the work of a transaction without committing it.
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

    /// Returns an identifier for the current time.
    pub(in crate::store) fn new_id(&self) -> Uuid {
        self.store.ids().next()
    }
}
