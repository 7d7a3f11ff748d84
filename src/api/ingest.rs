//! Where network servers post: the ingest of each network connection.

use poem::Result;
use poem_openapi::{Enum, Object, OpenApi, param::Path};
use serde::Serialize;

use super::{Tag, answer::Found, auth::IngestKey, types::Id, upload::Message};
use crate::{
    id::ConnectionId,
    uplink::{Receipt, UplinkPath},
};

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

/// `network-connections/{id}/uplinks`.
pub struct IngestApi {
    pub uplinks: UplinkPath,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::NetworkConnections")]
impl IngestApi {
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
        // On the heap, because each layer of futures around this one would copy all of it.
        let receipt = Box::pin(self.uplinks.receive(id, key.as_str(), body.0)).await?;
        Ok(Found(receipt.into()))
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
                wants_downlink: _,
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
