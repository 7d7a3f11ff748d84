//! Network connections whose messages the hub fetches itself: their list, changes, and the state of their
//! subscriptions.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};
use tokio::sync::watch;

use crate::{
    clock::Time,
    error::Result,
    id::{ConnectionId, TenantId},
    store::{
        core::{handle::Store, removed, scope::Scope},
        entities::{connection_health, network_connection},
    },
};

/// State of the subscription to a connection's broker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subscription {
    /// Start of the current broker connection; `None` if not connected.
    pub connected_since: Option<Time>,
    /// Error of the connection, or the reason why a received message waits.
    pub error: Option<String>,
}

/// Enabled connection whose messages the hub fetches itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribing {
    /// Tenant of the connection.
    pub tenant: TenantId,
    /// Identifier of the connection.
    pub id: ConnectionId,
    /// Type of the network server.
    pub kind: String,
    /// Revision; a different one means that the connection may have changed.
    pub revision: i64,
}

impl Store {
    /// Returns the enabled connections of these types, of all tenants.
    pub async fn subscribing_connections(&self, kinds: &[&str]) -> Result<Vec<Subscribing>> {
        use network_connection::Column;
        let found: Vec<(i64, i64, String, i64)> = network_connection::Entity::find()
            .filter(Column::Kind.is_in(kinds.iter().copied()))
            .filter(Column::Enabled.eq(true))
            .filter(removed::is_live(Column::TenantId.into_expr()))
            .select_only()
            .columns([Column::TenantId, Column::Id, Column::Kind, Column::Revision])
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let subscribing = found
            .into_iter()
            .map(|(tenant, id, kind, revision)| Subscribing {
                tenant: TenantId(tenant),
                id: ConnectionId(id),
                kind,
                revision,
            });
        Ok(subscribing.collect())
    }

    /// Subscribes to changes of network connections made through this hub.
    pub fn connection_news(&self) -> watch::Receiver<()> {
        self.inner.signals.connections.subscribe()
    }
}

/// Records the state of a connection's subscription; `None` if the connection is no longer subscribed.
pub async fn set_subscription(
    scope: &Scope,
    id: ConnectionId,
    subscription: Option<&Subscription>,
) -> Result<()> {
    use connection_health::Column;
    let since = subscription.and_then(|subscription| subscription.connected_since);
    let error = subscription.and_then(|subscription| subscription.error.clone());
    scope
        .update::<connection_health::Entity>()
        .col_expr(
            Column::Connected,
            Expr::value(subscription.map(|_| since.is_some())),
        )
        .col_expr(Column::ConnectedSince, Expr::value(since))
        .col_expr(Column::ConnectionError, Expr::value(error))
        .filter(Column::ConnectionId.eq(id.0))
        .exec(&scope.store.inner.writer)
        .await?;
    Ok(())
}

/// Records why a received message waits while the broker is connected; `None` if none waits any more.
pub async fn set_waiting(scope: &Scope, id: ConnectionId, why: Option<&str>) -> Result<()> {
    use connection_health::Column;
    scope
        .update::<connection_health::Entity>()
        .col_expr(Column::ConnectionError, Expr::value(why))
        .filter(Column::ConnectionId.eq(id.0))
        .filter(Column::Connected.eq(true))
        .exec(&scope.store.inner.writer)
        .await?;
    Ok(())
}
