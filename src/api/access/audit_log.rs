//! Audit log of all changes, with user or API key, time and network address.

use poem::Result;
use poem_openapi::{Object, OpenApi, param::Query};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    api::{
        http::{
            caller::Caller,
            page::Listed,
            paging::Paging,
            sort::{At, SortBy},
            span,
            types::{Id, JsonObject, Timestamp},
        },
        tag::Tag,
    },
    id::{ApiKeyId, UserId},
    store::access::audit_log::{self, Entry, Filter},
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

/// Endpoints of `audit-log`.
pub struct AuditLogApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::AuditLog")]
impl AuditLogApi {
    /// List the audit log
    ///
    /// Every change in your tenant: who, what, when, from where, before and after.
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
        /// Only what was done with this API key
        api_key_id: Query<Option<Id>>,
        /// Only what was done by this operation, by its `operationId`, such as `update_device`
        action: Query<Option<Name>>,
        /// Only those at or after this time
        from: Query<Option<Timestamp>>,
        /// Only those before this time
        to: Query<Option<Timestamp>>,
        /// What orders them; a minus turns it round. `-at` by default
        sort: Query<Option<SortBy<At>>>,
        paging: Paging,
    ) -> Result<Listed<EntryView>> {
        let window = paging.window()?;
        let filter = Filter {
            resource: resource.0.map(Name::into_string),
            resource_id: resource_id.0.map(Name::into_string),
            user: user_id.0.map(|id| UserId(*id)),
            api_key: api_key_id.0.map(|id| ApiKeyId(*id)),
            action: action.0.map(Name::into_string),
            span: span::read(from.0, to.0)?,
        };
        let newest_first = SortBy::is_newest_first(sort.0);
        let page = audit_log::list(caller.scope(), &filter, newest_first, &window.stretch).await?;
        Ok(window.answer(page, EntryView::from)?)
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
