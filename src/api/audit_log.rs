//! The audit log: who changed what, when and from where.

use poem::{Result, http::Uri};
use poem_openapi::{Object, OpenApi, param::Query};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Tag,
    auth::Caller,
    page::{Cursor, Listed, Window},
    types::{Id, JsonObject, Limit, Timestamp},
};
use crate::{
    id::UserId,
    store::audit_log::{self, Entry, Filter},
    text::Name,
};

/// One change that somebody made
#[derive(Object, Serialize)]
#[oai(rename = "AuditEntry")]
struct EntryView {
    /// Its id (UUIDv7: it sorts by time)
    id: Uuid,
    /// When it was made
    at: Timestamp,
    /// The user who made it; null where an API key did
    user_id: Option<Id>,
    /// The API key that made it; null where a user did
    api_key_id: Option<Id>,
    /// The name of either at that time
    actor: String,
    /// The network address that the request came from
    address: Option<String>,
    /// The request's id, as in the hub's log
    request_id: String,
    /// The operation, by its `operationId`
    action: String,
    /// The kind of resource, by its name in paths
    resource: String,
    /// The resource's id
    resource_id: String,
    /// What it was, without secrets; null where it was made
    before: Option<JsonObject>,
    /// What it is since, without secrets; null where it was deleted
    after: Option<JsonObject>,
}

/// `audit-log`.
pub struct AuditLogApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::AuditLog")]
impl AuditLogApi {
    /// List the audit log
    ///
    /// Every change in your tenant: who, what, when, from where, before and after. Newest first.
    #[oai(path = "/audit-log", method = "get", operation_id = "list_audit_log")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only of this kind of resource, by its name in paths, such as `devices`
        resource: Query<Option<Name>>,
        /// Only of the resource with this id
        resource_id: Query<Option<Name>>,
        /// Only what this user did
        user_id: Query<Option<Id>>,
        /// Most items on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        uri: &Uri,
    ) -> Result<Listed<EntryView>> {
        let window = Window::<Uuid>::new("audit-log", limit.0, cursor.0)?;
        let filter = Filter {
            resource: resource.0.map(Name::into_string),
            resource_id: resource_id.0.map(Name::into_string),
            user: user_id.0.map(|id| UserId(*id)),
        };
        let page = audit_log::list(caller.scope(), &filter, window.after, window.limit).await?;
        Ok(window.answer(page, uri, EntryView::from)?)
    }
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            at: Timestamp(entry.at),
            user_id: entry.user.map(|id| Id::saturating(id.0)),
            api_key_id: entry.api_key.map(|id| Id::saturating(id.0)),
            actor: entry.actor,
            address: entry.address.map(|address| address.to_string()),
            request_id: entry.request_id,
            action: entry.action,
            resource: entry.resource,
            resource_id: entry.resource_id,
            before: entry.before.map(JsonObject),
            after: entry.after.map(JsonObject),
        }
    }
}
