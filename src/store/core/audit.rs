//! Audit log entries, written in the transaction of the change: the entry and the change are committed together.

use sea_orm::{ActiveValue::Set, EntityTrait};
use serde::Serialize;
use serde_json::Value;

use super::{bulk, json::to_json, scope::Scope, transaction::DatabaseTransaction};
use crate::{error::Result, store::entities::audit_entry};

/// Resource that was changed.
pub struct Subject {
    /// Name of the resource in paths.
    pub resource: &'static str,
    /// Identifier of the resource.
    pub id: String,
}

/// Change of one resource among many.
pub struct Change {
    /// Resource that was changed.
    pub subject: Subject,
    /// State before the change; `None` if it was created.
    pub before: Option<Value>,
    /// State after the change; `None` if it was deleted.
    pub after: Option<Value>,
}

/// Returns the subject of a change.
pub fn subject(resource: &'static str, id: impl ToString) -> Subject {
    Subject {
        resource,
        id: id.to_string(),
    }
}

impl Scope {
    pub(in crate::store) async fn note_created(
        &self,
        transaction: &DatabaseTransaction,
        subject: Subject,
        after: &impl Serialize,
    ) -> Result<()> {
        self.note(transaction, subject, None, Some(to_json(after)?))
            .await
    }

    pub(in crate::store) async fn note_changed(
        &self,
        transaction: &DatabaseTransaction,
        subject: Subject,
        before: &impl Serialize,
        after: &impl Serialize,
    ) -> Result<()> {
        let (before, after) = (to_json(before)?, to_json(after)?);
        self.note(transaction, subject, Some(before), Some(after))
            .await
    }

    pub(in crate::store) async fn note_deleted(
        &self,
        transaction: &DatabaseTransaction,
        subject: Subject,
        before: &impl Serialize,
    ) -> Result<()> {
        self.note(transaction, subject, Some(to_json(before)?), None)
            .await
    }

    async fn note(
        &self,
        transaction: &DatabaseTransaction,
        subject: Subject,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<()> {
        let change = Change {
            subject,
            before,
            after,
        };
        audit_entry::Entity::insert(self.entry(change))
            .exec_without_returning(transaction)
            .await?;
        Ok(())
    }

    /// Writes an entry for each of many changes.
    pub(in crate::store) async fn note_many(
        &self,
        transaction: &DatabaseTransaction,
        changes: Vec<Change>,
    ) -> Result<()> {
        let entries = changes.into_iter().map(|change| self.entry(change));
        Ok(bulk::insert(transaction, entries.collect(), None).await?)
    }

    fn entry(&self, change: Change) -> audit_entry::ActiveModel {
        let Change {
            subject,
            before,
            after,
        } = change;
        let call = self.call.as_deref();
        audit_entry::ActiveModel {
            tenant_id: Set(self.tenant.0),
            id: Set(self.new_id()),
            at: Set(self.now()),
            user_id: Set(call.and_then(|call| call.user).map(|user| user.0)),
            api_key_id: Set(call.and_then(|call| call.api_key).map(|key| key.0)),
            actor: Set(call.map_or("the hub", |call| &call.name).to_owned()),
            address: Set(call
                .and_then(|call| call.address)
                .map(|address| address.to_string())),
            request_id: Set(call.map_or("", |call| &call.request_id).to_owned()),
            action: Set(call.map_or("", |call| call.operation).to_owned()),
            resource: Set(subject.resource.to_owned()),
            resource_id: Set(subject.id),
            before: Set(before),
            after: Set(after),
        }
    }
}
