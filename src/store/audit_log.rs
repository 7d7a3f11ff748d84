//! Reads the audit log.

use std::net::IpAddr;

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Page, Scope, entities::audit_entry};
use crate::{
    clock::Time,
    error::Result,
    id::{ApiKeyId, UserId},
};

/// One change that somebody made.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Sorts by time.
    pub id: Uuid,
    /// When.
    pub at: Time,
    /// Which user, unless a key did.
    pub user: Option<UserId>,
    /// Which API key, unless a user did.
    pub api_key: Option<ApiKeyId>,
    /// The name of either at that time.
    pub actor: String,
    /// From where.
    pub address: Option<IpAddr>,
    /// In which request.
    pub request_id: String,
    /// By which operation.
    pub action: String,
    /// Which kind of resource, by its name in paths.
    pub resource: String,
    /// Which one.
    pub resource_id: String,
    /// What it was; `None` where it was made.
    pub before: Option<Map<String, Value>>,
    /// What it is since; `None` where it was deleted.
    pub after: Option<Map<String, Value>>,
}

/// Which entries to read.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this kind of resource.
    pub resource: Option<String>,
    /// Of the resource with this id.
    pub resource_id: Option<String>,
    /// Of this user.
    pub user: Option<UserId>,
}

/// A stretch of the log, newest first.
pub async fn list(
    scope: &Scope,
    filter: &Filter,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Page<Entry, Uuid>> {
    use audit_entry::Column;
    let mut query = scope.find::<audit_entry::Entity>();
    if let Some(resource) = &filter.resource {
        query = query.filter(Column::Resource.eq(resource));
    }
    if let Some(id) = &filter.resource_id {
        query = query.filter(Column::ResourceId.eq(id));
    }
    if let Some(user) = filter.user {
        query = query.filter(Column::UserId.eq(user.0));
    }
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    let found = query
        .order_by_desc(Column::Id)
        .limit(limit + 1)
        .all(scope.reader())
        .await?;
    let entries = found.into_iter().map(Entry::from).collect();
    Ok(Page::cut(entries, limit, |entry: &Entry| entry.id))
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
