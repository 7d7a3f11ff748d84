//! Ingest of network connections, to which network servers post.

use poem::{IntoResponse, Response, Result};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi, SecurityScheme,
    auth::{ApiKey, Bearer},
    param::{Path, Query},
    registry::{MetaResponses, Registry},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    api::{
        http::{answer::Found, client::Client, types::Id},
        networks::message::Message,
        tag::Tag,
    },
    hub::devices::downlinks::in_answer,
    id::ConnectionId,
    text::NetworkWord,
    uplink::{Receipt, Sender, Taken, UplinkPath},
};

/// Ingest key of a network connection, as a bearer token.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "ingest_bearer")]
pub struct IngestBearer(Bearer);

/// Ingest key of a network connection, in the header `X-Ingest-Key`.
#[derive(SecurityScheme)]
#[oai(
    ty = "api_key",
    key_name = "X-Ingest-Key",
    key_in = "header",
    rename = "ingest_header"
)]
pub struct IngestHeader(ApiKey);

/// Ingest key of a network connection, as a query parameter, for network servers that cannot send a header. Logs of
/// proxies may then contain the key.
#[derive(SecurityScheme)]
#[oai(
    ty = "api_key",
    key_name = "ingest_key",
    key_in = "query",
    rename = "ingest_key"
)]
pub struct IngestQuery(ApiKey);

/// Ingest key in any of the three forms.
#[derive(SecurityScheme)]
pub enum IngestKey {
    Bearer(IngestBearer),
    Header(IngestHeader),
    Query(IngestQuery),
}

impl IngestKey {
    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        match self {
            IngestKey::Bearer(IngestBearer(bearer)) => &bearer.token,
            IngestKey::Header(IngestHeader(key)) | IngestKey::Query(IngestQuery(key)) => &key.key,
        }
    }
}

/// Result of posting a message.
#[derive(Object, Serialize)]
#[oai(rename = "Receipt")]
struct ReceiptView {
    /// Outcome for the message: `recorded` for an uplink of a known device, which is on disk; `duplicate` for a copy of
    /// one; `unknown_device` or `other` for messages that the connection keeps as events; `disabled` if nothing was
    /// stored, because the connection is disabled.
    status: ReceiptStatus,
    /// Unique identifier of the uplink; null unless the status is `recorded` or `duplicate`.
    uplink_id: Option<uuid::Uuid>,
    /// Unique identifier of the device; null unless the status is `recorded` or `duplicate`.
    device_id: Option<String>,
}

/// Outcome for a message of a network server.
#[derive(Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum ReceiptStatus {
    /// The message is an uplink of a known device, and the hub has stored it on disk.
    Recorded,
    /// The message is a copy of a stored uplink, whose id the receipt contains.
    Duplicate,
    /// The message is an uplink of an unknown device. The hub stores it as an event of the connection.
    UnknownDevice,
    /// The message is not an uplink. The hub stores it as an event.
    Other,
    /// The connection is disabled, and the hub has dropped the message.
    Disabled,
}

/// Response 200 with a receipt, and a downlink for the device if the network takes one in the response.
struct Received {
    receipt: ReceiptView,
    downlink: Option<Value>,
}

impl IntoResponse for Received {
    fn into_response(self) -> Response {
        let mut body = serde_json::to_value(self.receipt).unwrap_or_default();
        if let (Some(body), Some(Value::Object(downlink))) = (body.as_object_mut(), self.downlink) {
            body.extend(downlink);
        }
        Found(body).into_response()
    }
}

impl ApiResponse for Received {
    fn meta() -> MetaResponses {
        Found::<ReceiptView>::meta()
    }

    fn register(registry: &mut Registry) {
        Found::<ReceiptView>::register(registry);
    }
}

/// Endpoint of `network-connections/{id}/uplinks`.
pub struct IngestApi {
    pub uplinks: UplinkPath,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::NetworkConnections")]
impl IngestApi {
    /// Post an uplink
    ///
    /// Receives a message of the network server; this is the URL of its webhook. Authenticate with the connection's
    /// ingest key; a wrong key or an unknown connection fails with 401. The hub answers with `recorded` after it has
    /// stored the uplink on disk. It also answers messages of unknown devices with 200, because network servers disable
    /// webhooks that fail.
    ///
    /// The body is a message in the format of the connection's type: JSON in UTF-8, with or without a byte order mark.
    /// `Content-Type` can be `application/json`, `application/*+json`, `text/*` or absent; `Content-Encoding` can be
    /// `gzip` or `deflate`. The path can end with a slash, or with a suffix that Kerlink appends (`/dataUp`,
    /// `/dataDown`, `/dataDownEvent`, `/rxmessage`).
    ///
    /// With the type `http`, the body can be a list of messages if all pointers of the mapping start with `/0`. The hub
    /// records all valid messages of the list. It returns the receipt of the first message, or fails with 400 if it
    /// rejected any of them.
    ///
    /// For network servers that fetch downlinks with the response, such as Sigfox, the response also contains the
    /// device's next downlink, or `noData` if none is queued.
    ///
    /// Fails with 400 if the body is unreadable or too large (before or after decompression), if the content type or
    /// encoding is not supported, or if the query contains a parameter that is not listed here. The connection's health
    /// counts these messages in `malformed` and states the reason, provided that the key is correct.
    #[oai(
        path = "/network-connections/:id/uplinks",
        method = "post",
        operation_id = "create_uplink"
    )]
    #[expect(
        clippy::too_many_arguments,
        reason = "network servers put much into the query"
    )]
    async fn create_uplink(
        &self,
        key: IngestKey,
        client: Client,
        /// Unique identifier of the network connection.
        id: Path<Id>,
        /// Kind of the message, from ChirpStack.
        #[oai(name = "event")]
        _event: Query<Option<NetworkWord>>,
        /// DevEUI of the device, from ThingPark.
        #[oai(name = "LrnDevEui")]
        _dev_eui: Query<Option<NetworkWord>>,
        /// LoRaWAN port of the message, from ThingPark.
        #[oai(name = "LrnFPort")]
        _f_port: Query<Option<NetworkWord>>,
        /// Identification of the message, from ThingPark.
        #[oai(name = "LrnInfos")]
        _infos: Query<Option<NetworkWord>>,
        /// Identifier of the application server, from ThingPark.
        #[oai(name = "AS_ID")]
        _as_id: Query<Option<NetworkWord>>,
        /// Time at which ThingPark sent the message.
        #[oai(name = "Time")]
        _time: Query<Option<NetworkWord>>,
        /// Signature of the message, from ThingPark. The hub verifies it if the connection has an AS key, and otherwise
        /// ignores it.
        #[oai(name = "Token")]
        _token: Query<Option<NetworkWord>>,
        /// Message of the network server.
        body: Message,
    ) -> Result<Received> {
        let id = ConnectionId(**id);
        // Boxed, because each layer of futures around this one would otherwise copy all of it.
        let sender = Sender {
            key: key.as_str(),
            address: Some(client.0),
        };
        let Taken { receipt, awaits } = Box::pin(self.uplinks.receive(id, sender, body.0)).await?;
        let uplink = match &receipt {
            Receipt::Uplink {
                uplink_id,
                device_id,
            }
            | Receipt::Duplicate {
                uplink_id,
                device_id,
            } => Some((*uplink_id, device_id.as_str())),
            _ => None,
        };
        let counts = &self.uplinks.metrics.downlinks;
        let downlink = match (awaits, self.uplinks.scope_of(id)) {
            (None, _) => None,
            (Some(asking), scope) => match scope.await? {
                Some(scope) => Some(in_answer(&scope, counts, id, uplink, &asking).await?),
                None => None,
            },
        };
        Ok(Received {
            receipt: receipt.into(),
            downlink,
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
            Receipt::Duplicate {
                uplink_id,
                device_id,
            } => Self {
                status: ReceiptStatus::Duplicate,
                uplink_id: Some(uplink_id),
                device_id: Some(device_id),
            },
            Receipt::UnknownDevice => bare(ReceiptStatus::UnknownDevice),
            Receipt::Other => bare(ReceiptStatus::Other),
            Receipt::Disabled => bare(ReceiptStatus::Disabled),
        }
    }
}
