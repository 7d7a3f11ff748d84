//! Network connections, and the ingest behind each.

use poem::{Result, http::Uri};
use poem_openapi::{
    Enum, Object, OpenApi, Union,
    param::{Path, Query},
};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Tag,
    answer::{Created, Found, Revised, Single},
    auth::{Caller, IngestKey},
    body::Body,
    events::{EventKind, EventView},
    health_state::HealthStateView,
    page::{Cursor, Listed, Window},
    sort::{At, SortBy},
    span, strict,
    types::{self, Count, Id, Limit, Timestamp},
    upload::Message,
};
use crate::{
    error::Error,
    hub::{self, Hub},
    id::ConnectionId,
    store::{
        events::{self, Subject},
        listing::ResourceOrder,
        network_connections::{self, Connection, NewConnection},
    },
    text::{JsonPointer, Name},
    uplink::{
        Receipt, UplinkPath,
        networks::{self, NetworkSettings},
    },
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
}

/// Which network server sends, and what must be known to read it
#[derive(Clone, Union, Serialize)]
#[oai(rename = "NetworkSettings", discriminator_name = "type", one_of = true)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Settings {
    #[oai(mapping = "the_things_stack")]
    TheThingsStack(TheThingsStack),
    #[oai(mapping = "http")]
    Http(HttpMapping),
}

/// A type of network server
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", rename = "NetworkType")]
enum NetworkType {
    TheThingsStack,
    Http,
}

impl NetworkType {
    /// The store's word for it.
    fn word(self) -> &'static str {
        match self {
            NetworkType::TheThingsStack => "the_things_stack",
            NetworkType::Http => "http",
        }
    }
}

/// The Things Stack, version 3, by webhook
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TheThingsStack {}

/// Any server that posts JSON: pointers (RFC 6901) say where the values are
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpMapping {
    /// Where the device's id is, such as its DevEUI
    device_id_pointer: JsonPointer,
    /// Where the payload is
    payload_pointer: JsonPointer,
    /// How the payload is written
    payload_encoding: PayloadEncoding,
    /// Where the LoRaWAN port is
    #[oai(skip_serializing_if_is_none)]
    port_pointer: Option<JsonPointer>,
    /// Where the time of reception is: RFC 3339, or seconds or milliseconds since 1970
    #[oai(skip_serializing_if_is_none)]
    time_pointer: Option<JsonPointer>,
    /// Where the LoRaWAN frame counter is
    #[oai(skip_serializing_if_is_none)]
    frame_counter_pointer: Option<JsonPointer>,
}

/// How a payload is written as text
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum PayloadEncoding {
    Hex,
    Base64,
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
    /// What came in
    health: HealthView,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When it was made
    created_at: Timestamp,
    /// When it was last changed
    updated_at: Timestamp,
}

/// What came in over a connection since it was made
#[derive(Object, Serialize)]
#[oai(rename = "NetworkConnectionHealth")]
struct HealthView {
    /// `ok` when the last message was taken, `failing` when it was refused, `never_seen` before the first
    state: HealthStateView,
    /// Uplinks of known devices
    uplinks: Count,
    /// Uplinks of devices that nobody provisioned; the connection's events name them
    unknown_devices: Count,
    /// Well-formed messages that are no uplinks, such as joins
    other_messages: Count,
    /// Messages that were refused
    malformed: Count,
    /// When the last message came that was taken
    last_message_at: Option<Timestamp>,
    /// When the last one was refused
    last_error_at: Option<Timestamp>,
    /// Why it was refused
    last_error: Option<String>,
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

/// What became of a message
#[derive(Object, Serialize)]
#[oai(rename = "Receipt")]
struct ReceiptView {
    /// What it turned out to be
    status: ReceiptStatus,
    /// The uplink's id, if it is one of a known device
    uplink_id: Option<uuid::Uuid>,
    /// The device's id, if it is one of a known device
    device_id: Option<String>,
}

/// What a message turned out to be
#[derive(Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum ReceiptStatus {
    /// An uplink of a known device; it is on disk
    Recorded,
    /// An uplink of a device that nobody provisioned; kept as an event of the connection
    UnknownDevice,
    /// No uplink; kept as an event
    Other,
    /// Nothing was kept: the connection is switched off
    Disabled,
}

/// `network-connections`.
pub struct NetworkConnectionsApi {
    pub hub: Hub,
    pub uplinks: UplinkPath,
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
        let (connection, key) = self
            .hub
            .create_connection(scope, body.0.provisioned()?)
            .await?;
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
        /// Most items on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        /// Whether to count the items of all pages, too; it costs about as much as reading them all
        total: Query<Option<bool>>,
        uri: &Uri,
    ) -> Result<Listed<ConnectionView>> {
        let window = Window::new(uri, limit.0, cursor.0, total.0)?;
        let sort = SortBy::or(sort.0, ResourceOrder::Created);
        let filter = network_connections::Filter {
            kind: kind.0.map(NetworkType::word),
            enabled: enabled.0,
            health: health.0.map(HealthStateView::into),
            search: q.0.map(Name::into_string),
        };
        let page = network_connections::list(caller.scope(), &filter, sort, &window.stretch);
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
        let connection = network_connections::get(caller.scope(), ConnectionId(**id)).await?;
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
        let connection =
            network_connections::update(scope, ConnectionId(**id), body.0.provisioned()?).await?;
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
        let connection = network_connections::delete(caller.scope(), ConnectionId(**id)).await?;
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

    /// List a network connection's events
    ///
    /// What came in that is no uplink of a known device: unknown devices, joins and other messages.
    #[oai(
        path = "/network-connections/:id/events",
        method = "get",
        operation_id = "list_network_connection_events"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list_events(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
        /// Only those of this kind
        kind: Query<Option<EventKind>>,
        /// Only those at or after this time
        from: Query<Option<Timestamp>>,
        /// Only those before this time
        to: Query<Option<Timestamp>>,
        /// What orders them; a minus turns it round. `-at` by default
        sort: Query<Option<SortBy<At>>>,
        /// Most items on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        /// Whether to count the items of all pages, too; it costs about as much as reading them all
        total: Query<Option<bool>>,
        uri: &Uri,
    ) -> Result<Listed<EventView>> {
        let scope = caller.scope();
        let id = network_connections::get(scope, ConnectionId(**id))
            .await?
            .id;
        let window = Window::new(uri, limit.0, cursor.0, total.0)?;
        let newest_first = SortBy::is_newest_first(sort.0);
        let filter = events::Filter {
            kind: kind.0.map(EventKind::word),
            span: span::read(from.0, to.0)?,
        };
        let subject = Subject::Connection(id);
        let page = events::list(scope, subject, &filter, newest_first, &window.stretch).await?;
        Ok(window.answer(page, EventView::from)?)
    }

    /// Post what a network server received
    ///
    /// The network server's webhook. The body is what the network server sends, in the form of the
    /// connection's type; a body that cannot be read is a 400 and counts in the connection's health.
    /// A message of a device that nobody provisioned is kept as an event and answered with 200,
    /// because network servers switch off webhooks that fail. An uplink that is answered with
    /// `recorded` is on disk. Authenticated by the connection's ingest key.
    #[oai(
        path = "/network-connections/:id/uplinks",
        method = "post",
        operation_id = "create_uplink"
    )]
    async fn create_uplink(
        &self,
        key: IngestKey,
        /// The network connection's id
        id: Path<Id>,
        /// What the network server sends
        body: Message,
    ) -> Result<Found<ReceiptView>> {
        let id = ConnectionId(**id);
        let receipt = self.uplinks.receive(id, key.as_str(), body.0).await?;
        Ok(Found(receipt.into()))
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::union(
            deserializer,
            &["the_things_stack", "http"],
            |tag, members| match tag {
                "the_things_stack" => Some(members.read().map(Self::TheThingsStack)),
                "http" => Some(members.read().map(Self::Http)),
                _ => None,
            },
        )
    }
}

impl NewConnectionBody {
    fn provisioned(self) -> Result<NewConnection, Error> {
        let settings = serde_json::to_value(&self.settings).map_err(Error::internal)?;
        let read: NetworkSettings =
            serde_json::from_value(settings).map_err(|error| Error::field("settings", error))?;
        hub::network_connections::check(&read)?;
        let kind = match &read {
            NetworkSettings::TheThingsStack(_) => "the_things_stack",
            NetworkSettings::Http(networks::http::HttpMapping { .. }) => "http",
        };
        Ok(NewConnection {
            name: self.name.into_string(),
            kind: kind.to_owned(),
            settings: serde_json::to_value(&read).map_err(Error::internal)?,
            enabled: self.enabled,
        })
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
        } = connection.provisioned;
        let health = connection.health;
        Ok(Self {
            id: Id::saturating(connection.id.0),
            name,
            enabled,
            settings: serde_json::from_value(settings).map_err(Error::internal)?,
            health: HealthView {
                state: health.state().into(),
                uplinks: Count::saturating(health.uplinks),
                unknown_devices: Count::saturating(health.unknown_devices),
                other_messages: Count::saturating(health.other_messages),
                malformed: Count::saturating(health.malformed),
                last_message_at: health.last_message_at.map(Timestamp),
                last_error_at: health.last_error_at.map(Timestamp),
                last_error: health.last_error,
            },
            revision: Count::saturating(connection.revision),
            created_at: Timestamp(connection.created_at),
            updated_at: Timestamp(connection.updated_at),
        })
    }
}

impl From<Receipt> for ReceiptView {
    fn from(receipt: Receipt) -> Self {
        let bare = |status| Self {
            status,
            uplink_id: None,
            device_id: None,
        };
        match receipt {
            Receipt::Uplink {
                uplink_id,
                device_id,
            } => Self {
                status: ReceiptStatus::Recorded,
                uplink_id: Some(uplink_id),
                device_id: Some(device_id),
            },
            Receipt::UnknownDevice => bare(ReceiptStatus::UnknownDevice),
            Receipt::Other => bare(ReceiptStatus::Other),
            Receipt::Disabled => bare(ReceiptStatus::Disabled),
        }
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
