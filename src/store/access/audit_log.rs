//! Reads the audit log, and takes away what is old.

use std::net::IpAddr;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::Result,
    id::{ApiKeyId, UserId, first_uuid_at},
    store::{
        core::{
            handle::Store,
            listing::{self, Order, Place, Span, Stretch},
            page::Page,
            scope::Scope,
        },
        entities::audit_entry,
    },
};

/// Entries that are forgotten in one statement.
const CHUNK: u64 = 500;

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
    /// Of this API key.
    pub api_key: Option<ApiKeyId>,
    /// By this operation.
    pub action: Option<String>,
    /// In this time.
    pub span: Span,
}

/// A stretch of the log, by time.
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
    let total = listing::total(scope, &query, stretch).await?;
    let order = Order::by_key(Column::Id.into_expr(), newest_first);
    let found = order.of(query, stretch)?.all(scope.reader()).await?;
    let page = Page::cut(found, stretch.limit, |model| Place::of_key(model.id));
    Ok(page.of(total).map(Entry::from))
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

impl Store {
    /// Takes away a chunk of the entries of before, of all tenants; answers how many those were.
    pub async fn forget_audit_entries(&self, before: Time) -> Result<u64> {
        use audit_entry::{Column, Entity};
        let old: Vec<Uuid> = Entity::find()
            .filter(Column::Id.lt(first_uuid_at(before)))
            .order_by_asc(Column::Id)
            .limit(CHUNK)
            .select_only()
            .column(Column::Id)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        if old.is_empty() {
            return Ok(0);
        }
        let forgotten = Entity::delete_many()
            .filter(Column::Id.is_in(old))
            .exec(&self.inner.writer)
            .await?;
        Ok(forgotten.rows_affected)
    }
}
