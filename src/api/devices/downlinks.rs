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
    clock::Time,
    codec::Codec,
    error::Error,
    hub::{
        Hub,
        devices::downlinks::{Content, RequestedDownlink},
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

/// Downlink to queue. Exactly one of `payload_hex`, `payload_base64` and `values` is required.
#[derive(Object, Deserialize, Serialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
struct NewDownlink {
    /// Payload in hexadecimal digits: at least one byte, at most 242 bytes for LoRaWAN, and exactly 8 for Sigfox.
    payload_hex: Option<PayloadHex>,
    /// Payload in base64, with the same limits as `payload_hex`.
    payload_base64: Option<PayloadBase64>,
    /// Values that the device's driver encodes with the first of its functions `encodeDownlink`, `encode`, `Encoder`
    /// and `Encode`. Nested at most 16 levels deep, without NUL characters.
    values: Option<JsonObject>,
    /// LoRaWAN port. Null or absent: the port that the driver returns, otherwise 1.
    f_port: Option<DownlinkPort>,
    /// If true, the device must confirm the downlink. Null or absent: as the driver returns, otherwise false.
    confirmed: Option<bool>,
    /// Priority in the device's queue.
    priority: Option<DownlinkPriority>,
    /// Time in seconds after which the downlink expires if it is still queued. Must not be combined with `expires_at`.
    /// Null or absent: the downlink expires at `expires_at`, or never.
    expires_in_s: Option<Lifetime>,
    /// Time at which the downlink expires if it is still queued. Must be in the future.
    expires_at: Option<Timestamp>,
    /// Identifier of the network connection that sends the downlink, in which the device must have an address. Null or
    /// absent: the connection that received the device's last uplink, otherwise that of its first address.
    network_connection_id: Option<Id>,
}

/// Priority of a downlink in the device's queue. Downlinks of equal priority are sent in the order in which they were
/// queued.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum DownlinkPriority {
    /// After all others.
    Low,
    /// Default priority.
    Normal,
    /// Before all others.
    High,
}

/// State of a downlink.
///
/// - `queued`: waiting in the hub.
/// - `sent`: accepted by the network server.
/// - `acknowledged`: confirmed by the device.
/// - `failed`: given up, or rejected by the network or the device.
/// - `expired`: not sent before its expiry.
/// - `cancelled`: cancelled by a client, or replaced by a newer desired state.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DownlinkState {
    /// Waiting in the hub.
    Queued,
    /// Accepted by the network server.
    Sent,
    /// Confirmed by the device.
    Acknowledged,
    /// Given up, or rejected by the network or the device.
    Failed,
    /// Not sent before its expiry.
    Expired,
    /// Cancelled by a client, or replaced by a newer desired state.
    Cancelled,
}

/// Origin of a downlink. `api`: a client queued it. `desired_state`: a client changed the desired state of the device.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DownlinkOrigin {
    /// A client queued it.
    Api,
    /// A client changed the desired state of the device.
    DesiredState,
}

/// Message to a device.
#[derive(Object, Serialize)]
#[oai(rename = "Downlink")]
struct DownlinkView {
    /// Identifier of the downlink (UUIDv7), which sorts by the time of queuing.
    id: Uuid,
    /// State of the downlink.
    state: DownlinkState,
    /// Origin of the downlink.
    origin: DownlinkOrigin,
    /// Identifier of the network connection that sends the downlink.
    network_connection_id: Id,
    /// Identifier of the device in this network.
    network_device_id: String,
    /// Payload in hexadecimal digits.
    payload_hex: String,
    /// Payload in base64.
    payload_base64: String,
    /// Values that the driver encoded to the payload. Null if the client sent a payload.
    values: JsonValue,
    /// LoRaWAN port.
    f_port: Port,
    /// If true, the device must confirm the downlink.
    confirmed: bool,
    /// Priority in the device's queue.
    priority: DownlinkPriority,
    /// Time at which the downlink expires if it is still queued. Null if it does not expire.
    expires_at: Option<Timestamp>,
    /// Number of attempts to send the downlink to the network server.
    attempts: Count,
    /// Time at which the next attempt is due; during an attempt, the time at which it counts as lost. Null if there is
    /// no further attempt, or if the downlink waits for the device's next message.
    next_attempt_at: Option<Timestamp>,
    /// HTTP status code of the network server's last response. Null if there was none.
    last_status: Option<Status>,
    /// Reason why the last attempt failed, why the network or the device rejected the downlink, or that the device has
    /// not confirmed it yet. Null if there is none.
    last_error: Option<String>,
    /// Time at which the network server accepted the downlink. Null before.
    sent_at: Option<Timestamp>,
    /// Time at which the network reported that the downlink was sent over the air. Null if it has not reported that.
    transmitted_at: Option<Timestamp>,
    /// Identifier of the downlink in the network server. Null if unknown.
    network_reference: Option<String>,
    /// LoRaWAN frame counter of the downlink. Null if the network has not reported it.
    f_cnt_down: Option<Count>,
    /// Time at which the downlink was queued.
    created_at: Timestamp,
    /// Time of the last change of the downlink, including attempts to send it.
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
    /// Queues a payload, or values that the device's driver encodes. The downlink is on disk when this request is
    /// answered. It is sent to the network server at once or, if the network only accepts downlinks in the response to
    /// a message, with the device's next message that requests one. The downlinks of a device are sent one after the
    /// other, by priority and then in the order in which they were queued.
    ///
    /// Fails with 400 if the device's queue is full (setting `downlink_queue_max`, 100 by default), if the device has
    /// no address in the network connection, if the connection has no downlink settings, if the device has no driver
    /// that encodes the values or the driver rejects them, or if the payload does not have a length that the network
    /// accepts. Fails with 404 if the device does not exist.
    #[oai(
        path = "/devices/:id/downlinks",
        method = "post",
        operation_id = "create_downlink"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        body: Body<NewDownlink>,
    ) -> Result<Begun<DownlinkView>> {
        let request = body.0.read(caller.scope().now())?;
        let queued = self
            .hub
            .queue_downlink(caller.scope(), &self.codec, &id.0, request)
            .await?;
        let location = format!("/api/v3/devices/{}/downlinks/{}", id.0.as_str(), queued.id);
        let body = queued.into();
        Ok(Begun { location, body })
    }

    /// List a device's downlinks
    ///
    /// Returns the queued, sent and ended downlinks of the device, newest first by default. Filters are combined with
    /// AND. Fails with 404 if the device does not exist.
    #[oai(
        path = "/devices/:id/downlinks",
        method = "get",
        operation_id = "list_downlinks"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        /// State of the downlinks.
        state: Query<Option<DownlinkState>>,
        /// Origin of the downlinks.
        origin: Query<Option<DownlinkOrigin>>,
        /// Sort key; prefix with `-` for descending order. Default: `-created_at`.
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
    /// Returns the downlink with its state and its last error. Fails with 404 if the device or the downlink does not
    /// exist.
    #[oai(
        path = "/devices/:id/downlinks/:downlink_id",
        method = "get",
        operation_id = "get_downlink"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        /// Identifier of the downlink.
        downlink_id: Path<Uuid>,
    ) -> Result<Found<DownlinkView>> {
        let scope = caller.scope();
        let device = devices::get(scope, &id.0).await?;
        let downlink = downlinks::get(scope, device.key, downlink_id.0).await?;
        Ok(Found(downlink.into()))
    }

    /// Cancel a downlink
    ///
    /// Cancels a queued downlink and returns it. It remains in the list with the state `cancelled`. Fails with 400 if
    /// the downlink is no longer queued or is being sent at this moment, and with 404 if the device or the downlink
    /// does not exist.
    #[oai(
        path = "/devices/:id/downlinks/:downlink_id",
        method = "delete",
        operation_id = "delete_downlink"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        /// Identifier of the downlink.
        downlink_id: Path<Uuid>,
    ) -> Result<Found<DownlinkView>> {
        let cancelled = downlinks::cancel(caller.scope(), &id.0, downlink_id.0).await?;
        Ok(Found(cancelled.into()))
    }
}

impl NewDownlink {
    /// Checks the rules between members, which the schema cannot express, and converts the body.
    fn read(self, now: Time) -> Result<RequestedDownlink, Error> {
        let (field, content) = match (self.payload_hex, self.payload_base64, self.values) {
            (Some(hex), None, None) => {
                let payload = hex::decode(&*hex).map_err(Error::internal)?;
                ("payload_hex", Content::Payload(payload))
            }
            (None, Some(base64), None) => {
                let payload = STANDARD.decode(&*base64).map_err(Error::internal)?;
                ("payload_base64", Content::Payload(payload))
            }
            (None, None, Some(values)) => ("values", Content::Values(values.0)),
            _ => {
                let rule = "exactly one of payload_hex, payload_base64 and values must be given";
                return Err(Error::field("payload_hex", rule));
            }
        };
        if matches!(&content, Content::Payload(payload) if payload.is_empty()) {
            return Err(Error::field(field, "must have at least one byte"));
        }
        let expires_at = match (self.expires_in_s, self.expires_at) {
            (Some(_), Some(_)) => {
                let rule = "must not be combined with expires_in_s";
                return Err(Error::field("expires_at", rule));
            }
            (Some(seconds), None) => Some(now + TimeDelta::seconds(*seconds)),
            (None, Some(time)) if time.0 <= now => {
                return Err(Error::field("expires_at", "must be in the future"));
            }
            (None, time) => time.map(|time| time.0),
        };
        Ok(RequestedDownlink {
            content,
            field,
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
