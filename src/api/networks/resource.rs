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
    clock,
    error::Error,
    hub::Hub,
    id::ConnectionId,
    secret::{Claim, SealedCredentials},
    store::{
        core::listing::ResourceOrder,
        networks::{self, Connection, NewConnection},
    },
    text::Name,
};

/// A network connection to make, or to put in the place of one
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewNetworkConnection")]
struct NewConnectionBody {
    /// Unique in the tenant
    name: Name,
    /// Whether it takes messages; what comes while it does not is answered with 200 and dropped
    #[oai(default = "types::yes")]
    #[serde(default = "types::yes")]
    enabled: bool,
    /// Which network server it is, and what must be known to read its messages
    settings: Settings,
    /// Which unknown senders become devices by themselves; left out, none does
    auto_provisioning: Option<AutoProvisioning>,
}

/// A network connection
#[derive(Object, Serialize)]
#[oai(rename = "NetworkConnection")]
struct ConnectionView {
    /// Its id
    id: Id,
    /// Unique in the tenant
    name: String,
    /// Whether it takes messages
    enabled: bool,
    /// Which network server it is
    settings: Settings,
    /// The names of the secrets that are stored with the settings
    secrets: Vec<String>,
    /// Which unknown senders become devices by themselves; null: none does
    auto_provisioning: Option<AutoProvisioning>,
    /// What came in
    health: HealthView,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When it was made
    created_at: Timestamp,
    /// When it was last changed
    updated_at: Timestamp,
}

/// What came in over a connection. What is counted is counted since it was made
#[derive(Object, Serialize)]
#[oai(rename = "NetworkConnectionHealth")]
struct HealthView {
    /// `failing` when the last message was refused, or when `subscription` has an error; else `ok`, and
    /// `never_seen` before the first message
    state: HealthStateView,
    /// Uplinks of known devices
    uplinks: Count,
    /// Uplinks of devices that nobody provisioned; the connection's events name them
    unknown_devices: Count,
    /// Well-formed messages that are no uplinks, such as joins
    other_messages: Count,
    /// Messages that were refused
    malformed: Count,
    /// Copies of frames that are recorded already; they are no messages of their own
    duplicates: Count,
    /// The share of messages of the last 60 minutes that were refused, 0 to 1, without copies; 0 where none
    /// came. Kept by hours of the clock: of the hour before, as large a part counts as lies in the last 60
    /// minutes, as if its messages had come evenly
    error_rate: f64,
    /// When the last message came that was taken
    last_message_at: Option<Timestamp>,
    /// When the last one was refused
    last_error_at: Option<Timestamp>,
    /// Why it was refused
    last_error: Option<String>,
    /// Messages whose time could not be read or could not be true: before 2000, or ahead of the hub's clock by
    /// more than `time_ahead_max_s`. The hub's own time counts for them; `radio.reported_time` of an uplink has
    /// what the network server told
    implausible_times: Count,
    /// What was wrong with the last of these times
    last_implausible_time: Option<String>,
    /// When that message came
    last_implausible_time_at: Option<Timestamp>,
    /// Requests with a wrong ingest key, counted within seconds
    unauthorized: Count,
    /// When the last of them came
    last_unauthorized_at: Option<Timestamp>,
    /// How the hub hears the connection's broker; null where the network server calls, and while the
    /// connection is switched off
    subscription: Option<SubscriptionView>,
}

/// How the hub hears a connection's broker
#[derive(Object, Serialize)]
#[oai(rename = "NetworkSubscription")]
struct SubscriptionView {
    /// Whether it is subscribed now
    connected: bool,
    /// Since when it is
    connected_since: Option<Timestamp>,
    /// Why it is not, or why a message waits to be recorded; the hub tries again by itself
    error: Option<String>,
}

/// A network connection with its ingest key
#[derive(Object, Serialize)]
#[oai(rename = "NetworkConnectionWithKey")]
struct ConnectionWithKey {
    #[oai(flatten)]
    #[serde(flatten)]
    connection: ConnectionView,
    /// What the network server must send to be let in; it is shown here and never again
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
    /// Answers the connection with its ingest key, which is not shown again: give it to the network
    /// server together with the URL `/api/v3/network-connections/{id}/uplinks`.
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
        let (connection, key) = self.hub.create_connection(scope, new, &claims).await?;
        let location = format!("/api/v3/network-connections/{}", connection.id);
        Ok(Created {
            location,
            body: with_key(connection, key)?,
        })
    }

    /// List network connections
    ///
    /// With their health.
    #[oai(
        path = "/network-connections",
        method = "get",
        operation_id = "list_network_connections"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those of this type of network server
        #[oai(name = "type")]
        kind: Query<Option<NetworkType>>,
        /// Only those that take messages, or with `false` those that do not
        enabled: Query<Option<bool>>,
        /// Only those that are so: `ok` when the last message was taken, `failing` when it was refused,
        /// `never_seen` before the first
        health: Query<Option<HealthStateView>>,
        /// Only those with this text in the name, whatever its case
        q: Query<Option<Name>>,
        /// What orders them; a minus turns it round. `created_at` by default
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
        let page = networks::list(caller.scope(), &filter, sort, &window.stretch);
        let page = page.await?.try_map(ConnectionView::try_from)?;
        Ok(window.answer(page, |view| view)?)
    }

    /// Get a network connection
    ///
    /// With its health: what came in, and what was refused and why.
    #[oai(
        path = "/network-connections/:id",
        method = "get",
        operation_id = "get_network_connection"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
    ) -> Result<Single<ConnectionView>> {
        let connection = networks::get(caller.scope(), ConnectionId(**id)).await?;
        Ok(Single(connection.try_into()?))
    }

    /// Replace a network connection
    ///
    /// Its ingest key and its health stay as they are.
    #[oai(
        path = "/network-connections/:id",
        method = "put",
        operation_id = "update_network_connection"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
        body: Body<NewConnectionBody>,
    ) -> Result<Single<ConnectionView>> {
        let scope = caller.scope();
        let (new, claims) = body.0.provisioned()?;
        let id = ConnectionId(**id);
        let connection = self.hub.update_connection(scope, id, new, &claims).await?;
        Ok(Single(connection.try_into()?))
    }

    /// Delete a network connection
    ///
    /// Refused while a device is connected through it. Answers what was deleted.
    #[oai(
        path = "/network-connections/:id",
        method = "delete",
        operation_id = "delete_network_connection"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
    ) -> Result<Found<ConnectionView>> {
        let connection = networks::delete(caller.scope(), ConnectionId(**id)).await?;
        Ok(Found(connection.try_into()?))
    }

    /// Make a new ingest key
    ///
    /// The old key is dead at once. Answers the connection with the new key, which is not shown again.
    #[oai(
        path = "/network-connections/:id/ingest-key",
        method = "post",
        operation_id = "create_ingest_key"
    )]
    async fn create_ingest_key(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
    ) -> Result<Created<ConnectionWithKey>> {
        let (connection, key) = self
            .hub
            .renew_ingest_key(caller.scope(), ConnectionId(**id))
            .await?;
        let location = format!("/api/v3/network-connections/{}", connection.id);
        Ok(Created {
            location,
            body: with_key(connection, key)?,
        })
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

fn with_key(connection: Connection, ingest_key: String) -> Result<ConnectionWithKey, Error> {
    Ok(ConnectionWithKey {
        connection: connection.try_into()?,
        ingest_key,
    })
}

impl TryFrom<Connection> for ConnectionView {
    type Error = Error;

    fn try_from(connection: Connection) -> Result<Self, Error> {
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
                error_rate: health.recent.error_rate(clock::now()),
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
