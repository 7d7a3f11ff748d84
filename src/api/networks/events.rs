//! Events of a network connection.

use poem::Result;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        http::{
            caller::Caller,
            page::Listed,
            paging::Paging,
            sort::{At, SortBy},
            span::{self, PointInTime},
            types::Id,
        },
        live::events::{EventKind, EventView},
        tag::Tag,
    },
    id::ConnectionId,
    store::{
        live::events::{self, Subject},
        networks,
    },
};

/// Endpoint of `network-connections/{id}/events`.
pub struct NetworkConnectionEventsApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::NetworkConnections")]
impl NetworkConnectionEventsApi {
    /// List network connection events
    ///
    /// Returns the events that messages of this connection have caused, such as uplinks of unknown devices, joins,
    /// states of downlinks, and messages of other kinds. Filters are combined with AND. Fails with 400 if `to` is
    /// before `from`.
    #[oai(
        path = "/network-connections/:id/events",
        method = "get",
        operation_id = "list_network_connection_events"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list_events(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
        id: Path<Id>,
        /// Only events of this kind.
        kind: Query<Option<EventKind>>,
        /// Only events at or after this time.
        from: Query<Option<PointInTime>>,
        /// Only events before this time. Must not be before `from`.
        to: Query<Option<PointInTime>>,
        /// Sort key; prefix with `-` for descending order. Defaults to `-at`.
        sort: Query<Option<SortBy<At>>>,
        paging: Paging,
    ) -> Result<Listed<EventView>> {
        let scope = caller.scope();
        let id = networks::get(scope, ConnectionId(**id)).await?.id;
        let window = paging.window()?;
        let newest_first = SortBy::is_newest_first(sort.0);
        let filter = events::Filter {
            kind: kind.0.map(EventKind::word),
            span: span::asked(from.0, to.0, scope)?,
        };
        let subject = Subject::Connection(id);
        let page = events::list(scope, subject, &filter, newest_first, &window.stretch).await?;
        Ok(window.answer(page, EventView::from)?)
    }
}
