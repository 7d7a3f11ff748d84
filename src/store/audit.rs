//! Writes down who changed what, in the transaction of the change: neither is there without the
//! other.

use sea_orm::{ActiveValue::Set, DatabaseTransaction, EntityTrait};
use serde::Serialize;
use serde_json::Value;

use super::{Scope, entities::audit_entry};
use crate::{
    clock,
    error::{Error, Result},
    id::new_uuid,
};

/// What was changed.
pub struct Subject {
    /// The resource's name in paths.
    pub resource: &'static str,
    /// Its id.
    pub id: String,
}

/// The subject of a change.
pub fn subject(resource: &'static str, id: impl ToString) -> Subject {
    Subject {
        resource,
        id: id.to_string(),
    }
}

impl Scope {
    pub(super) async fn note_created(
        &self,
        transaction: &DatabaseTransaction,
        subject: Subject,
        after: &impl Serialize,
    ) -> Result<()> {
        self.note(transaction, subject, None, Some(json(after)?))
            .await
    }

    pub(super) async fn note_changed(
        &self,
        transaction: &DatabaseTransaction,
        subject: Subject,
        before: &impl Serialize,
        after: &impl Serialize,
    ) -> Result<()> {
        let (before, after) = (json(before)?, json(after)?);
        self.note(transaction, subject, Some(before), Some(after))
            .await
    }

    pub(super) async fn note_deleted(
        &self,
        transaction: &DatabaseTransaction,
        subject: Subject,
        before: &impl Serialize,
    ) -> Result<()> {
        self.note(transaction, subject, Some(json(before)?), None)
            .await
    }

    async fn note(
        &self,
        transaction: &DatabaseTransaction,
        subject: Subject,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<()> {
        let call = self.call.as_deref();
        audit_entry::Entity::insert(audit_entry::ActiveModel {
            tenant_id: Set(self.tenant.0),
            id: Set(new_uuid()),
            at: Set(clock::now()),
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
        })
        .exec_without_returning(transaction)
        .await?;
        Ok(())
    }
}

fn json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}
