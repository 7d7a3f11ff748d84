//! Messages of a device: its recent uplinks and its events.

use base64::{Engine, engine::general_purpose::STANDARD};
use poem::Result;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    api::{
        http::{
            caller::Caller,
            page::Listed,
            paging::Paging,
            sort::{At, SortBy},
            span,
            types::{Id, JsonObject, Port, Timestamp},
        },
        live::events::{EventKind, EventView},
        tag::Tag,
    },
    store::{
        core::listing::Span,
        devices::{
            self,
            uplinks::{self, Uplink},
        },
        live::events::{self, Subject},
    },
    text::DeviceId,
};

/// One message of a device, raw and decoded
#[derive(Object, Serialize)]
#[oai(rename = "Uplink")]
pub struct UplinkView {
    /// Its id (UUIDv7: it sorts by arrival)
    id: Uuid,
    /// The network connection that it came in over
    network_connection_id: Id,
    /// When the hub received it
    received_at: Timestamp,
    /// When the network received it
    time: Timestamp,
    /// LoRaWAN port
    f_port: Option<Port>,
    /// LoRaWAN frame counter
    f_cnt: Option<u32>,
    /// The payload in hexadecimal digits
    raw: Option<String>,
    /// The payload in base64
    raw_base64: Option<String>,
    /// How it was received: frequency in Hz, bandwidth in kHz, spreading factor, RSSI in dBm, SNR in dB, gateways
    radio: JsonObject,
    /// What the driver made of it; null when there is no driver or it failed
    data: Option<JsonObject>,
    /// The values of each time, the earliest first, where the driver told of several; `data` then has the latest of each field
    updates: Option<Vec<UpdateView>>,
    /// Why the driver made nothing of it
    error: Option<DriverFailure>,
}

/// Values that a driver told of, and the time that they are about
#[derive(Object, Serialize, Deserialize)]
#[oai(rename = "Update")]
pub struct UpdateView {
    /// The time
    pub timestamp: Timestamp,
    /// The decoded fields
    pub values: JsonObject,
}

/// Why a driver made nothing of an uplink
#[derive(Object, Serialize, Deserialize)]
pub struct DriverFailure {
    /// What stopped it: `exception`, `cpu_time`, `memory`, `schema` ...
    kind: String,
    /// Why, for its author
    message: String,
    /// The line of its script, counted from 1, where it is known
    line: Option<u32>,
}

/// Endpoints of `devices/{id}/uplinks` and `devices/{id}/events`.
pub struct DeviceHistoryApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceHistoryApi {
    /// List a device's uplinks
    ///
    /// Raw and decoded, with radio metadata and the driver's errors. Newest first.
    #[oai(
        path = "/devices/:id/uplinks",
        method = "get",
        operation_id = "list_device_uplinks"
    )]
    async fn list_uplinks(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        paging: Paging,
    ) -> Result<Listed<UplinkView>> {
        let scope = caller.scope();
        let device = devices::get(scope, &id.0).await?;
        let window = paging.window()?;
        let page = uplinks::list(scope, device.key, Span::default(), true, &window.stretch).await?;
        Ok(window.answer(page, UplinkView::from)?)
    }

    /// List a device's events
    ///
    /// Failures and warnings of its driver, and the network's messages that are no uplinks.
    #[oai(
        path = "/devices/:id/events",
        method = "get",
        operation_id = "list_device_events"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list_events(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        /// Only those of this kind
        kind: Query<Option<EventKind>>,
        /// Only those at or after this time
        from: Query<Option<Timestamp>>,
        /// Only those before this time
        to: Query<Option<Timestamp>>,
        /// What orders them; a minus turns it round. `-at` by default
        sort: Query<Option<SortBy<At>>>,
        paging: Paging,
    ) -> Result<Listed<EventView>> {
        let scope = caller.scope();
        let device = devices::get(scope, &id.0).await?;
        let window = paging.window()?;
        let newest_first = SortBy::is_newest_first(sort.0);
        let filter = events::Filter {
            kind: kind.0.map(EventKind::word),
            span: span::read(from.0, to.0)?,
        };
        let subject = Subject::Device(device.key);
        let page = events::list(scope, subject, &filter, newest_first, &window.stretch).await?;
        Ok(window.answer(page, EventView::from)?)
    }
}

impl From<Uplink> for UplinkView {
    fn from(uplink: Uplink) -> Self {
        let Uplink {
            id,
            connection,
            received_at,
            time,
            f_port,
            f_cnt,
            raw,
            radio,
            data,
            updates,
            failure,
        } = uplink;
        Self {
            id,
            network_connection_id: Id::saturating(connection.0),
            received_at: Timestamp(received_at),
            time: Timestamp(time),
            f_port: f_port.map(Port::saturating),
            f_cnt,
            raw: raw.as_ref().map(hex::encode),
            raw_base64: raw.map(|raw| STANDARD.encode(raw)),
            radio: JsonObject(radio),
            data: data.map(JsonObject),
            updates: updates.and_then(|updates| serde_json::from_value(updates).ok()),
            error: failure.and_then(|failure| serde_json::from_value(failure).ok()),
        }
    }
}
