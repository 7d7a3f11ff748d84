//! Reads of the audit log.

use std::net::IpAddr;

use sea_orm::{ColumnTrait, QueryFilter};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::Result,
    id::{ApiKeyId, UserId},
    store::{
        core::{
            listing::{self, Order, Place, Span, Stretch},
            page::Page,
            scope::Scope,
        },
        entities::audit_entry,
    },
};

/// Entry of the audit log: a change that a caller made.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Identifier, which sorts by time.
    pub id: Uuid,
    /// Time of the change.
    pub at: Time,
    /// User who made the change; `None` if an API key did.
    pub user: Option<UserId>,
    /// API key that made the change; `None` if a user did.
    pub api_key: Option<ApiKeyId>,
    /// Name of the user or the API key at that time.
    pub actor: String,
    /// Network address of the caller.
    pub address: Option<IpAddr>,
    /// Identifier of the request.
    pub request_id: String,
    /// Name of the operation.
    pub action: String,
    /// Kind of resource, by its name in paths.
    pub resource: String,
    /// Identifier of the resource.
    pub resource_id: String,
    /// State before the change; `None` if it was created.
    pub before: Option<Map<String, Value>>,
    /// State after the change; `None` if it was deleted.
    pub after: Option<Map<String, Value>>,
}

/// Filter of entries; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Kind of resource.
    pub resource: Option<String>,
    /// Identifier of the resource.
    pub resource_id: Option<String>,
    /// User who made the change.
    pub user: Option<UserId>,
    /// API key that made the change.
    pub api_key: Option<ApiKeyId>,
    /// Name of the operation.
    pub action: Option<String>,
    /// Period of the changes.
    pub span: Span,
}

/// Returns a page of the log, ordered by time.
pub async fn list(
    scope: &Scope,
    filter: &Filter,
    newest_first: bool,
    stretch: &Stretch<Uuid>,
) -> Result<Page<Entry, Place<Uuid>>> {
    use audit_entry::Column;
    let mut query = scope
        .find::<audit_entry::Entity>()
        .filter(filter.span.condition(Column::At, Column::Id));
    if let Some(resource) = &filter.resource {
        query = query.filter(Column::Resource.eq(resource));
    }
    if let Some(id) = &filter.resource_id {
        query = query.filter(Column::ResourceId.eq(id));
    }
    if let Some(user) = filter.user {
        query = query.filter(Column::UserId.eq(user.0));
    }
    if let Some(key) = filter.api_key {
        query = query.filter(Column::ApiKeyId.eq(key.0));
    }
    if let Some(action) = &filter.action {
        query = query.filter(Column::Action.eq(action));
    }
    let order = Order::by_key(Column::Id.into_expr(), newest_first);
    let page = listing::section(scope, query, &order, stretch, |model| {
        Place::of_key(model.id)
    })
    .await?;
    Ok(page.map(Entry::from))
}

fn object(value: Option<Value>) -> Option<Map<String, Value>> {
    match value {
        Some(Value::Object(members)) => Some(members),
        _ => None,
    }
}

impl From<audit_entry::Model> for Entry {
    fn from(model: audit_entry::Model) -> Self {
        let audit_entry::Model {
            tenant_id: _,
            id,
            at,
            user_id,
            api_key_id,
            actor,
            address,
            request_id,
            action,
            resource,
            resource_id,
            before,
            after,
        } = model;
        Self {
            id,
            at,
            user: user_id.map(UserId),
            api_key: api_key_id.map(ApiKeyId),
            actor,
            address: address.and_then(|address| address.parse().ok()),
            request_id,
            action,
            resource,
            resource_id,
            before: object(before),
            after: object(after),
        }
    }
}
