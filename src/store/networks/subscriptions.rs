//! Network connections over which the hub fetches messages itself: which they are, whether somebody
//! has changed one, and whether their brokers are heard.

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

/// How a connection hears what its broker publishes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subscription {
    /// Since when, if it does.
    pub connected_since: Option<Time>,
    /// Why it does not, or why something that it has heard waits.
    pub error: Option<String>,
}

/// An enabled connection whose messages the hub fetches itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribing {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: ConnectionId,
    /// Which network server it is.
    pub kind: String,
    /// Its revision: another one means that it may have changed.
    pub revision: i64,
}

impl Store {
    /// Every enabled connection of these kinds, of every tenant.
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

    /// Tells whenever a client has changed a network connection by way of this hub.
    pub fn connection_news(&self) -> watch::Receiver<()> {
        self.inner.signals.connections.subscribe()
    }
}

/// Notes whether the connection's broker is heard; `None`: it is no concern any more.
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

/// Notes why something that was heard waits, while the broker is heard; `None`: nothing does any more.
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
