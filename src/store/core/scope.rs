//! The database as one tenant sees it: where every query of a tenant starts, and every transaction.

use std::{future::Future, net::IpAddr, sync::Arc};

use sea_orm::{
    DeleteMany, QueryFilter, QuerySelect, Select, UpdateMany,
    entity::ColumnTrait,
    sea_query::{IntoCondition, LockType},
};
use uuid::Uuid;

use super::{
    handle::Store,
    reader::Reader,
    rows::{Owned, Revised, find_of},
    signals::{Epoch, Then},
    transaction::DatabaseTransaction,
};
use crate::{
    error::{Error, Result},
    id::{ApiKeyId, TenantId, UserId},
};

/// The database as one tenant sees it.
#[derive(Clone)]
pub struct Scope {
    pub(in crate::store) store: Store,
    pub(in crate::store) tenant: TenantId,
    pub(in crate::store) epoch: Arc<Epoch>,
    pub(in crate::store) call: Option<Arc<Call>>,
    /// The idempotency key of the request whose work this is.
    pub(in crate::store) claim: Option<[u8; 32]>,
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

impl Store {
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

    pub(in crate::store) fn find<E: Owned>(&self) -> Select<E> {
        find_of::<E>(self.tenant)
    }

    /// The row to change, as it is until the end of the transaction, if it still has the revision
    /// that the client has seen. Rows that refer to it may be written meanwhile.
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

    /// The same with another lock: [`LockType::Update`] lets nobody refer to the row meanwhile.
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

    /// Refuses a change of what is not as the client has seen it.
    pub(in crate::store) fn check_revision(&self, revision: i64) -> Result<()> {
        match self.call.as_ref().and_then(|call| call.revisions.as_ref()) {
            Some(expected) if !expected.contains(&revision) => Err(Error::Conflict(format!(
                "header If-Match: it has been changed since; its ETag is \"{revision}\" now"
            ))),
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

    /// Runs one transaction that changes what is provisioned. Its commit moves the tenant's epoch: what is
    /// kept ready counts no more, on any hub.
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

    /// Runs one transaction that writes down what happened and, once it is committed, tells those who
    /// follow along and the delivery engine. Nothing that is kept ready may depend on it.
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

    /// Runs one transaction on what is read anew each time that it is needed, such as sessions: nothing
    /// follows.
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

    /// An id of what happens now.
    pub(in crate::store) fn new_id(&self) -> Uuid {
        self.store.ids().next()
    }
}
