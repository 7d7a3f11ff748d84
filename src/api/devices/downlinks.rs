//! Downlinks: the queue of each device.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use poem::Result;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    api::{
        http::{
            answer::{Begun, Found},
            body::Body,
            caller::Caller,
            mirror::mirror,
            page::Listed,
            paging::Paging,
            sort::{QueuedAt, SortBy},
            types::{Count, Id, Int, JsonObject, JsonValue, Port, Status, Timestamp},
        },
        tag::Tag,
    },
    clock,
    codec::Codec,
    error::Error,
    hub::{
        Hub,
        devices::downlinks::{Content, Wish},
    },
    id::ConnectionId,
    store::{
        devices,
        downlinks::{self, Downlink, Filter, Origin, Priority, State},
    },
    text::{DeviceId, PayloadBase64, PayloadHex},
};

/// LoRaWAN port for applications.
type DownlinkPort = Int<1, 223>;
/// Time until a downlink expires, in seconds: up to a year.
type Lifetime = Int<1, 31_536_000>;

/// A downlink to queue: one of `payload_hex`, `payload_base64` and `values`
#[derive(Object, Deserialize, Serialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
struct NewDownlink {
    /// What to send, at most 242 bytes over LoRaWAN and exactly 8 over Sigfox
    payload_hex: Option<PayloadHex>,
    /// The same in base64, with padding
    payload_base64: Option<PayloadBase64>,
    /// Values that the device's driver encodes, by the first of `encodeDownlink`, `encode`, `Encoder` and `Encode` that it defines
    values: Option<JsonObject>,
    /// LoRaWAN port; the one that the driver names, or 1, if left out
    f_port: Option<DownlinkPort>,
    /// Whether the device is to confirm it; as the driver says, or not, if left out
    confirmed: Option<bool>,
    /// What goes first among what waits for the device; `normal` if left out
    priority: Option<DownlinkPriority>,
    /// It expires when it still waits after so many seconds; never, if this and `expires_at` are left out
    expires_in_s: Option<Lifetime>,
    /// The same as a time, which must lie ahead
    expires_at: Option<Timestamp>,
    /// Over which network; if left out, the one that the device was last heard in, or its first one
    network_connection_id: Option<Id>,
}

/// What goes first among what waits for a device
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum DownlinkPriority {
    /// After all others
    Low,
    /// As usual
    Normal,
    /// Before all others
    High,
}

/// Where a downlink stands
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DownlinkState {
    /// It waits in the hub
    Queued,
    /// The network server has it
    Sent,
    /// The device has confirmed it
    Acknowledged,
    /// It was given up, or the network or the device refused it
    Failed,
    /// It waited too long
    Expired,
    /// It was taken back, or a newer desired state took its place
    Cancelled,
}

/// Who asked for a downlink
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum DownlinkOrigin {
    /// A client that queued it
    Api,
    /// A client that changed the desired state
    DesiredState,
}

/// A message to a device
#[derive(Object, Serialize)]
#[oai(rename = "Downlink")]
struct DownlinkView {
    /// Its id (UUIDv7: it sorts by the time at which it was queued)
    id: Uuid,
    /// Where it stands
    state: DownlinkState,
    /// Who asked for it
    origin: DownlinkOrigin,
    /// Over which network it goes
    network_connection_id: Id,
    /// The device's id there
    network_device_id: String,
    /// What is sent, in hexadecimal digits
    payload_hex: String,
    /// The same in base64
    payload_base64: String,
    /// The values that the driver made it from; null where it came as bytes
    values: JsonValue,
    /// LoRaWAN port
    f_port: Port,
    /// Whether the device is to confirm it
    confirmed: bool,
    /// What goes first
    priority: DownlinkPriority,
    /// When it expires, if it still waits then
    expires_at: Option<Timestamp>,
    /// Attempts to hand it to the network server
    attempts: Count,
    /// When the next attempt is due; null when there will be none, or when the device's next message is waited for
    next_attempt_at: Option<Timestamp>,
    /// HTTP status of the network server's last answer
    last_status: Option<Status>,
    /// Why the last attempt failed, or why the network or the device refused it, or that the device has not confirmed it yet
    last_error: Option<String>,
    /// When the network server took it
    sent_at: Option<Timestamp>,
    /// When the network sent it over the air, where the network tells
    transmitted_at: Option<Timestamp>,
    /// The network server's own id of it, where it has one
    network_reference: Option<String>,
    /// The frame counter that it was sent with, where the network tells
    f_cnt_down: Option<Count>,
    /// When it was queued
    created_at: Timestamp,
    /// When its state last changed
    updated_at: Timestamp,
}

/// Endpoints of `devices/{id}/downlinks`.
pub struct DownlinksApi {
    pub hub: Hub,
    pub codec: Codec,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DownlinksApi {
    /// Queue a downlink
    ///
    /// Bytes as they are, or values that the device's driver encodes. It is on disk when this answers,
    /// and goes to the network server at once, or, where the network takes downlinks only in answer to
    /// a message of the device, with the next one that asks for it. Downlinks of one device go one after
    /// another, by priority and then in the order in which they were queued. A full queue is refused.
    #[oai(
        path = "/devices/:id/downlinks",
        method = "post",
        operation_id = "create_downlink"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        body: Body<NewDownlink>,
    ) -> Result<Begun<DownlinkView>> {
        let wish = body.0.read()?;
        let queued = self
            .hub
            .queue_downlink(caller.scope(), &self.codec, &id.0, wish)
            .await?;
        let location = format!("/api/v3/devices/{}/downlinks/{}", id.0.as_str(), queued.id);
        let body = queued.into();
        Ok(Begun { location, body })
    }

    /// List a device's downlinks
    ///
    /// What waits, what was sent, and what became of it. Newest first.
    #[oai(
        path = "/devices/:id/downlinks",
        method = "get",
        operation_id = "list_downlinks"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        /// Only those in this state
        state: Query<Option<DownlinkState>>,
        /// Only those that were asked for so
        origin: Query<Option<DownlinkOrigin>>,
        /// What orders them; a minus turns it round. `-created_at` by default
        sort: Query<Option<SortBy<QueuedAt>>>,
        paging: Paging,
    ) -> Result<Listed<DownlinkView>> {
        let scope = caller.scope();
        let device = devices::get(scope, &id.0).await?;
        let window = paging.window()?;
        let newest_first = SortBy::is_newest_first(sort.0);
        let filter = Filter {
            state: state.0.map(DownlinkState::into),
            origin: origin.0.map(DownlinkOrigin::into),
        };
        let stretch = &window.stretch;
        let page = downlinks::list(scope, device.key, &filter, newest_first, stretch).await?;
        Ok(window.answer(page, DownlinkView::from)?)
    }

    /// Get a downlink
    ///
    /// With where it stands, and why it failed where it did.
    #[oai(
        path = "/devices/:id/downlinks/:downlink_id",
        method = "get",
        operation_id = "get_downlink"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        /// The downlink's id
        downlink_id: Path<Uuid>,
    ) -> Result<Found<DownlinkView>> {
        let scope = caller.scope();
        let device = devices::get(scope, &id.0).await?;
        let downlink = downlinks::get(scope, device.key, downlink_id.0).await?;
        Ok(Found(downlink.into()))
    }

    /// Take a downlink back
    ///
    /// As long as it is queued: what the network server has is the network server's. It stays in the
    /// list, as `cancelled`.
    #[oai(
        path = "/devices/:id/downlinks/:downlink_id",
        method = "delete",
        operation_id = "delete_downlink"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        /// The downlink's id
        downlink_id: Path<Uuid>,
    ) -> Result<Found<DownlinkView>> {
        let cancelled = downlinks::cancel(caller.scope(), &id.0, downlink_id.0).await?;
        Ok(Found(cancelled.into()))
    }
}

impl NewDownlink {
    /// Checks the rules between members, which the schema cannot express, and converts the body.
    fn read(self) -> Result<Wish, Error> {
        let content = match (self.payload_hex, self.payload_base64, self.values) {
            (Some(hex), None, None) => {
                Content::Payload(hex::decode(&*hex).map_err(Error::internal)?)
            }
            (None, Some(base64), None) => {
                Content::Payload(STANDARD.decode(&*base64).map_err(Error::internal)?)
            }
            (None, None, Some(values)) => Content::Values(values.0),
            _ => {
                let rule = "must be given, or payload_base64 or values in its place, and only one";
                return Err(Error::field("payload_hex", rule));
            }
        };
        if matches!(&content, Content::Payload(payload) if payload.is_empty()) {
            return Err(Error::field("payload_hex", "must have at least one byte"));
        }
        let now = clock::now();
        let expires_at = match (self.expires_in_s, self.expires_at) {
            (Some(_), Some(_)) => {
                let rule = "must not be given together with expires_in_s";
                return Err(Error::field("expires_at", rule));
            }
            (Some(seconds), None) => Some(now + TimeDelta::seconds(*seconds)),
            (None, Some(time)) if time.0 <= now => {
                return Err(Error::field("expires_at", "must lie ahead"));
            }
            (None, time) => time.map(|time| time.0),
        };
        Ok(Wish {
            content,
            f_port: self.f_port.and_then(|port| u8::try_from(*port).ok()),
            confirmed: self.confirmed,
            priority: self.priority.map(Priority::from).unwrap_or_default(),
            expires_at,
            connection: self.network_connection_id.map(|id| ConnectionId(*id)),
        })
    }
}

impl From<Downlink> for DownlinkView {
    fn from(downlink: Downlink) -> Self {
        let queued = downlink.queued;
        Self {
            id: downlink.id,
            state: downlink.state.into(),
            origin: queued.origin.into(),
            network_connection_id: Id::saturating(queued.connection.0),
            network_device_id: queued.network_device_id,
            payload_hex: hex::encode(&queued.payload),
            payload_base64: STANDARD.encode(queued.payload),
            values: JsonValue(queued.values.unwrap_or_default()),
            f_port: Port::saturating(queued.f_port),
            confirmed: queued.confirmed,
            priority: queued.priority.into(),
            expires_at: queued.expires_at.map(Timestamp),
            attempts: Count::saturating(downlink.attempt),
            next_attempt_at: downlink.due_at.map(Timestamp),
            last_status: downlink.last_status.map(Status::saturating),
            last_error: downlink.last_error,
            sent_at: downlink.sent_at.map(Timestamp),
            transmitted_at: downlink.transmitted_at.map(Timestamp),
            network_reference: downlink.network_reference,
            f_cnt_down: downlink.f_cnt_down.map(Count::saturating),
            created_at: Timestamp(downlink.created_at),
            updated_at: Timestamp(downlink.updated_at),
        }
    }
}

mirror!(DownlinkState = State: Queued, Sent, Acknowledged, Failed, Expired, Cancelled);
mirror!(DownlinkOrigin = Origin: Api, DesiredState);
mirror!(DownlinkPriority = Priority: Low, Normal, High);
