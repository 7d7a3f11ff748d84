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
            span::{self, PointInTime},
            types::{Id, JsonObject, Timestamp},
        },
        tag::Tag,
    },
    id::{ApiKeyId, UserId},
    store::access::audit_log::{self, Entry, Filter},
    text::Name,
};

/// Entry of the audit log: a change of a resource.
#[derive(Object, Serialize)]
#[oai(rename = "AuditEntry")]
struct EntryView {
    /// Unique identifier of the entry, a UUIDv7, which sorts by time.
    id: Uuid,
    /// Time of the change.
    at: Timestamp,
    /// Identifier of the user who made the change; null if an API key or the hub itself made it.
    user_id: Option<Id>,
    /// Identifier of the API key that made the change; null if a user or the hub itself made it.
    api_key_id: Option<Id>,
    /// Name of the user or API key at the time of the change; `the hub` or `the command line` for others.
    actor: String,
    /// IP address from which the request came; null if the change was not made by a request.
    address: Option<String>,
    /// Identifier of the request, as in the header `X-Request-Id` and in the hub's log; empty if the change was
    /// not made by a request.
    request_id: String,
    /// `operationId` of the operation that made the change, such as `update_device`.
    action: String,
    /// Type of the resource, by its name in paths, such as `devices`.
    resource: String,
    /// Identifier of the resource.
    resource_id: String,
    /// State before the change, without secrets; null if the resource was created.
    before: Option<JsonObject>,
    /// State after the change, without secrets; null if the resource was deleted.
    after: Option<JsonObject>,
}

/// Endpoints of `audit-log`.
pub struct AuditLogApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::AuditLog")]
impl AuditLogApi {
    /// List audit log entries
    ///
    /// Returns the changes of resources in your tenant, each with the user or API key that made it and the state
    /// before and after. Filters are combined with AND. The hub deletes old entries; its setting
    /// `audit_keep_days` states their age. Requires the role `admin`. Fails with 400 if `to` is before `from`.
    #[oai(path = "/audit-log", method = "get", operation_id = "list_audit_log")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only changes of this type of resource, by its name in paths, such as `devices`.
        resource: Query<Option<Name>>,
        /// Only changes of the resource with this identifier.
        resource_id: Query<Option<Name>>,
        /// Only changes that this user made.
        user_id: Query<Option<Id>>,
        /// Only changes that this API key made.
        api_key_id: Query<Option<Id>>,
        /// Only changes that this operation made, by its `operationId`, such as `update_device`.
        action: Query<Option<Name>>,
        /// Start of the period, inclusive.
        from: Query<Option<PointInTime>>,
        /// End of the period, exclusive.
        to: Query<Option<PointInTime>>,
        /// Sort key; prefix it with `-` for descending order. Sorted by `-at`, the newest first, if omitted.
        sort: Query<Option<SortBy<At>>>,
        paging: Paging,
    ) -> Result<Listed<EntryView>> {
        let scope = caller.scope();
        let window = paging.window()?;
        let filter = Filter {
            resource: resource.0.map(Name::into_string),
            resource_id: resource_id.0.map(Name::into_string),
            user: user_id.0.map(|id| UserId(*id)),
            api_key: api_key_id.0.map(|id| ApiKeyId(*id)),
            action: action.0.map(Name::into_string),
            span: span::asked(from.0, to.0, scope)?,
        };
        let newest_first = SortBy::is_newest_first(sort.0);
        let page = audit_log::list(scope, &filter, newest_first, &window.stretch).await?;
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
