//! Network connections.

use poem::Result;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        http::{
            answer::{Created, Found, Revised, Single},
            body::Body,
            caller::Caller,
            health_state::HealthStateView,
            page::Listed,
            paging::Paging,
            sort::SortBy,
            types::{self, Count, Id, Timestamp},
        },
        networks::{
            auto_provisioning::AutoProvisioning,
            servers::{NetworkType, Settings},
        },
        tag::Tag,
    },
    error::Error,
    hub::Hub,
    id::ConnectionId,
    secret::{Claim, SealedCredentials},
    store::{
        Scope,
        core::listing::ResourceOrder,
        networks::{self, Connection, NewConnection},
    },
    text::Name,
};

/// Network connection to create, or the new configuration of an existing one.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewNetworkConnection")]
struct NewConnectionBody {
    /// Name of the connection, unique in the tenant, without control characters.
    name: Name,
    /// Whether the hub accepts messages. While it is false, the hub answers valid messages with 200 and drops them,
    /// does not subscribe to a broker, and sends no downlinks.
    #[oai(default = "types::yes")]
    #[serde(default = "types::yes")]
    enabled: bool,
    /// Type of the network server, and its settings.
    settings: Settings,
    /// Rule by which the hub creates devices for unknown senders. If omitted or null, it creates none.
    auto_provisioning: Option<AutoProvisioning>,
}

/// A network connection, over which one network server sends messages.
#[derive(Object, Serialize)]
#[oai(rename = "NetworkConnection")]
struct ConnectionView {
    /// Unique identifier of the connection.
    id: Id,
    /// Name of the connection, unique in the tenant.
    name: String,
    /// Whether the hub accepts messages.
    enabled: bool,
    /// Type of the network server, and its settings without secrets.
    settings: Settings,
    /// Names of the secrets that are stored with the settings.
    secrets: Vec<String>,
    /// Rule by which the hub creates devices for unknown senders; null if it creates none.
    auto_provisioning: Option<AutoProvisioning>,
    /// Health of the connection.
    health: HealthView,
    /// Revision, which increases with every change by a client. It is also the `ETag`.
    revision: Count,
    /// Time of creation.
    created_at: Timestamp,
    /// Time of the last change by a client.
    updated_at: Timestamp,
}

/// Health of a network connection. Counters start at its creation.
#[derive(Object, Serialize)]
#[oai(rename = "NetworkConnectionHealth")]
struct HealthView {
    /// Health state: `failing` if the hub rejected the last message, or if `subscription` is not connected or has an
    /// error; `never_seen` before the first message; otherwise `ok`.
    state: HealthStateView,
    /// Number of uplinks of known devices.
    uplinks: Count,
    /// Number of uplinks of unknown devices. The connection's events contain them.
    unknown_devices: Count,
    /// Number of valid messages that are not uplinks, such as joins.
    other_messages: Count,
    /// Number of rejected messages.
    malformed: Count,
    /// Number of copies of frames that were recorded before. The other counters do not include them.
    duplicates: Count,
    /// Share of rejected messages among all messages of the last 60 minutes except copies, from 0 to 1; 0 if there were
    /// none. The hub counts by clock hours: the previous hour counts in proportion to its part that lies in the last 60
    /// minutes, as if its messages were spread evenly.
    error_rate: f64,
    /// Time of the last accepted message; null if there was none.
    last_message_at: Option<Timestamp>,
    /// Time of the last rejected message; null if there was none.
    last_error_at: Option<Timestamp>,
    /// Reason of the last rejection; null if the hub has rejected no message.
    last_error: Option<String>,
    /// Number of uplinks with an unreadable or implausible time: before the year 2000, or ahead of the hub's clock by
    /// more than `time_ahead_max_s` (setting of the hub). The hub uses its own time for them, and `radio.reported_time`
    /// of the uplink keeps the reported time.
    implausible_times: Count,
    /// Problem with the last of these times; null if there was none.
    last_implausible_time: Option<String>,
    /// Time at which the hub received that message; null if there was none.
    last_implausible_time_at: Option<Timestamp>,
    /// Number of requests with a wrong ingest key. The counter may lag behind by some seconds.
    unauthorized: Count,
    /// Time of the last request with a wrong ingest key; null if there was none.
    last_unauthorized_at: Option<Timestamp>,
    /// State of the subscription to the connection's broker; null if the network server calls the hub, and while the
    /// connection is disabled.
    subscription: Option<SubscriptionView>,
}

/// State of the subscription to a connection's broker.
#[derive(Object, Serialize)]
#[oai(rename = "NetworkSubscription")]
struct SubscriptionView {
    /// Whether the hub is connected and subscribed.
    connected: bool,
    /// Time since which the hub is connected; null if it is not.
    connected_since: Option<Timestamp>,
    /// Reason why the hub is not connected, or why a received message is not recorded yet; null if there is no error.
    /// The hub retries automatically.
    error: Option<String>,
}

/// A network connection with its new ingest key.
#[derive(Object, Serialize)]
#[oai(rename = "NetworkConnectionWithKey")]
struct ConnectionWithKey {
    #[oai(flatten)]
    #[serde(flatten)]
    connection: ConnectionView,
    /// Ingest key with which the network server authenticates. Only this response contains it.
    ingest_key: String,
}

/// Endpoints of `network-connections`.
pub struct NetworkConnectionsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::NetworkConnections")]
impl NetworkConnectionsApi {
    /// Create a network connection
    ///
    /// Creates a connection and returns it with its ingest key, which no other response contains. Configure the network
    /// server with this key and the URL `/api/v3/network-connections/{id}/uplinks`. With a type that has a broker, the
    /// hub subscribes to the broker itself.
    ///
    /// Fails with 400 if another connection of the tenant has the name, if the settings or the rule for automatic
    /// provisioning are invalid, or if a required secret is missing.
    #[oai(
        path = "/network-connections",
        method = "post",
        operation_id = "create_network_connection"
    )]
    async fn create(
        &self,
        caller: Caller,
        body: Body<NewConnectionBody>,
    ) -> Result<Created<ConnectionWithKey>> {
        let scope = caller.scope();
        let (new, claims) = body.0.provisioned()?;
        let keyed = self.hub.create_connection(scope, new, &claims).await?;
        Ok(with_key(keyed, scope)?)
    }

    /// List network connections
    ///
    /// Returns the tenant's network connections with their health, without secrets. Filters are combined with AND.
    #[oai(
        path = "/network-connections",
        method = "get",
        operation_id = "list_network_connections"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only connections with this type of network server.
        #[oai(name = "type")]
        kind: Query<Option<NetworkType>>,
        /// Only enabled connections, or with `false` only disabled ones.
        enabled: Query<Option<bool>>,
        /// Only connections in this health state.
        health: Query<Option<HealthStateView>>,
        /// Only connections whose name contains this text, ignoring case.
        q: Query<Option<Name>>,
        /// Sort key; prefix with `-` for descending order. Defaults to `created_at`.
        sort: Query<Option<SortBy<ResourceOrder>>>,
        paging: Paging,
    ) -> Result<Listed<ConnectionView>> {
        let window = paging.window()?;
        let sort = SortBy::or(sort.0, ResourceOrder::Created);
        let filter = networks::Filter {
            kind: kind.0.map(NetworkType::word),
            enabled: enabled.0,
            health: health.0.map(HealthStateView::into),
            search: q.0.map(Name::into_string),
        };
        let scope = caller.scope();
        let page = networks::list(scope, &filter, sort, &window.stretch).await?;
        let page = page.try_map(|connection| ConnectionView::new(connection, scope))?;
        Ok(window.answer(page, |view| view)?)
    }

    /// Get a network connection
    ///
    /// Returns the connection with its health, without secrets.
    #[oai(
        path = "/network-connections/:id",
        method = "get",
        operation_id = "get_network_connection"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
        id: Path<Id>,
    ) -> Result<Single<ConnectionView>> {
        let scope = caller.scope();
        let connection = networks::get(scope, ConnectionId(**id)).await?;
        Ok(Single(ConnectionView::new(connection, scope)?))
    }

    /// Replace a network connection
    ///
    /// Replaces the configuration of the connection; omitted fields are reset to their defaults. The ingest key and the
    /// health do not change. An omitted secret is kept if the type of the network server and the address to which the
    /// secret is sent stay the same.
    ///
    /// Fails with 400 in the same cases as the creation, and if a secret is omitted although its address has changed.
    #[oai(
        path = "/network-connections/:id",
        method = "put",
        operation_id = "update_network_connection"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
        id: Path<Id>,
        body: Body<NewConnectionBody>,
    ) -> Result<Single<ConnectionView>> {
        let scope = caller.scope();
        let (new, claims) = body.0.provisioned()?;
        let id = ConnectionId(**id);
        let connection = self.hub.update_connection(scope, id, new, &claims).await?;
        Ok(Single(ConnectionView::new(connection, scope)?))
    }

    /// Delete a network connection
    ///
    /// Deletes the connection and returns the deleted connection. Fails with 400 while a device is connected through
    /// it.
    #[oai(
        path = "/network-connections/:id",
        method = "delete",
        operation_id = "delete_network_connection"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
        id: Path<Id>,
    ) -> Result<Found<ConnectionView>> {
        let scope = caller.scope();
        let connection = networks::delete(scope, ConnectionId(**id)).await?;
        Ok(Found(ConnectionView::new(connection, scope)?))
    }

    /// Rotate an ingest key
    ///
    /// Creates a new ingest key and returns it with the connection; no other response contains the key. The old key
    /// becomes invalid immediately.
    #[oai(
        path = "/network-connections/:id/ingest-key",
        method = "post",
        operation_id = "create_ingest_key"
    )]
    async fn create_ingest_key(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
        id: Path<Id>,
    ) -> Result<Created<ConnectionWithKey>> {
        let (scope, id) = (caller.scope(), ConnectionId(**id));
        let keyed = self.hub.renew_ingest_key(scope, id).await?;
        Ok(with_key(keyed, scope)?)
    }
}

impl NewConnectionBody {
    /// Converts the body to the stored form, with the secrets separated.
    fn provisioned(mut self) -> Result<(NewConnection, Vec<Claim>), Error> {
        let claims = self.settings.take_claims();
        let read = self.settings.checked()?;
        let rule = self.auto_provisioning.map(AutoProvisioning::checked);
        let new = NewConnection {
            name: self.name.into_string(),
            kind: read.kind().to_owned(),
            settings: serde_json::to_value(&read).map_err(Error::internal)?,
            enabled: self.enabled,
            auto_provisioning: rule.transpose()?,
            secret: None,
        };
        Ok((new, claims))
    }
}

/// Answers with a new ingest key, which no other response contains.
fn with_key(
    (connection, ingest_key): (Connection, String),
    scope: &Scope,
) -> Result<Created<ConnectionWithKey>, Error> {
    Ok(Created {
        location: format!("/api/v3/network-connections/{}", connection.id),
        body: ConnectionWithKey {
            connection: ConnectionView::new(connection, scope)?,
            ingest_key,
        },
    })
}

impl ConnectionView {
    /// Returns the view of a connection, whose error rate is that of the last hour.
    fn new(connection: Connection, scope: &Scope) -> Result<Self, Error> {
        let NewConnection {
            name,
            kind: _,
            settings,
            enabled,
            auto_provisioning,
            secret,
        } = connection.provisioned;
        let rule = auto_provisioning.map(serde_json::from_value);
        let rule = rule.transpose().map_err(Error::internal)?;
        let health = connection.health;
        Ok(Self {
            id: Id::saturating(connection.id.0),
            name,
            enabled,
            settings: serde_json::from_value(settings).map_err(Error::internal)?,
            secrets: SealedCredentials::read(secret.as_deref()).names(),
            auto_provisioning: rule,
            health: HealthView {
                state: health.state().into(),
                uplinks: Count::saturating(health.uplinks),
                unknown_devices: Count::saturating(health.unknown_devices),
                other_messages: Count::saturating(health.other_messages),
                malformed: Count::saturating(health.malformed),
                duplicates: Count::saturating(health.duplicates),
                error_rate: health.recent.error_rate(scope.now()),
                last_message_at: health.last_message_at.map(Timestamp),
                last_error_at: health.last_error_at.map(Timestamp),
                last_error: health.last_error,
                implausible_times: Count::saturating(health.odd_times),
                last_implausible_time: health.last_odd_time,
                last_implausible_time_at: health.last_odd_time_at.map(Timestamp),
                unauthorized: Count::saturating(health.unauthorized),
                last_unauthorized_at: health.unauthorized_at.map(Timestamp),
                subscription: health.subscription.map(|subscription| SubscriptionView {
                    connected: subscription.connected_since.is_some(),
                    connected_since: subscription.connected_since.map(Timestamp),
                    error: subscription.error,
                }),
            },
            revision: Count::saturating(connection.revision),
            created_at: Timestamp(connection.created_at),
            updated_at: Timestamp(connection.updated_at),
        })
    }
}

impl Revised for ConnectionView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}

impl Revised for ConnectionWithKey {
    fn revision(&self) -> i64 {
        self.connection.revision()
    }
}
