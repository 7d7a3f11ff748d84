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

/// The ingest key of a network connection, as a bearer token
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "ingest_bearer")]
pub struct IngestBearer(Bearer);

/// The ingest key of a network connection, in a header of its own
#[derive(SecurityScheme)]
#[oai(
    ty = "api_key",
    key_name = "X-Ingest-Key",
    key_in = "header",
    rename = "ingest_header"
)]
pub struct IngestHeader(ApiKey);

/// The ingest key of a network connection, in the URL, for network servers that can send nothing else
#[derive(SecurityScheme)]
#[oai(
    ty = "api_key",
    key_name = "ingest_key",
    key_in = "query",
    rename = "ingest_key"
)]
pub struct IngestQuery(ApiKey);

/// Any of the three.
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

/// What became of a message
#[derive(Object, Serialize)]
#[oai(rename = "Receipt")]
struct ReceiptView {
    /// What became of the message: `recorded` (an uplink of a known device, on disk), `duplicate` (a copy of
    /// one), `unknown_device` or `other` (kept as an event of the connection), or `disabled`: nothing was stored,
    /// because the connection is disabled
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
    /// A copy of an uplink that is on disk; its id is the first one's
    Duplicate,
    /// An uplink of a device that nobody provisioned; kept as an event of the connection
    UnknownDevice,
    /// No uplink; kept as an event
    Other,
    /// Nothing was kept: the connection is switched off
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
    /// Post what a network server received
    ///
    /// The network server's webhook. The body is what the network server sends, in the form of the
    /// connection's type: JSON in UTF-8, with a byte order mark or without. `Content-Type` may be
    /// `application/json`, a network server's own kind of JSON (`application/*+json`), `text/*` or absent,
    /// `Content-Encoding` may be `gzip` or `deflate`, and the path may end with a slash.
    /// What is refused with a 400 counts in the connection's health, with the reason,
    /// where the key was right: a body that cannot be read or is too large, compressed or not, another content
    /// type or encoding, and a query parameter that is not named here.
    /// A message of a device that nobody provisioned is kept as an event and answered with 200,
    /// because network servers switch off webhooks that fail. An uplink that is answered with
    /// `recorded` is on disk, and one that is answered with `duplicate` was on disk before. Where the
    /// network server takes a downlink in the answer, as Sigfox does, the answer holds it beside the
    /// receipt, or `noData` where nothing is queued. A body may hold a list of messages, where the
    /// connection's mapping says so: the answer is the receipt of the first, and a 400 where any was
    /// refused; the others are recorded all the same. What Kerlink appends to the URL (`/dataUp`, `/dataDown`,
    /// `/dataDownEvent`, `/rxmessage`) changes nothing. Authenticated by the connection's ingest key.
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
        /// The network connection's id
        id: Path<Id>,
        /// What kind of message ChirpStack sends
        #[oai(name = "event")]
        _event: Query<Option<NetworkWord>>,
        /// The device that ThingPark sends a message of
        #[oai(name = "LrnDevEui")]
        _dev_eui: Query<Option<NetworkWord>>,
        /// The port that ThingPark received a message on
        #[oai(name = "LrnFPort")]
        _f_port: Query<Option<NetworkWord>>,
        /// What ThingPark knows the message by
        #[oai(name = "LrnInfos")]
        _infos: Query<Option<NetworkWord>>,
        /// What ThingPark calls the hub
        #[oai(name = "AS_ID")]
        _as_id: Query<Option<NetworkWord>>,
        /// When ThingPark sent the message
        #[oai(name = "Time")]
        _time: Query<Option<NetworkWord>>,
        /// ThingPark's signature of the message; it is checked where the connection has the AS key
        #[oai(name = "Token")]
        _token: Query<Option<NetworkWord>>,
        /// What the network server sends
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
        let downlink = match (awaits, self.uplinks.scope_of(id)) {
            (None, _) => None,
            (Some(asking), scope) => match scope.await? {
                Some(scope) => Some(in_answer(&scope, id, uplink, &asking).await?),
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
