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
            span::{self, PointInTime},
            types::{Id, JsonObject, Port, Timestamp},
        },
        live::events::{EventKind, EventView},
        tag::Tag,
    },
    store::{
        devices::{
            self,
            uplinks::{self, Uplink},
        },
        live::events::{self, Subject},
    },
    text::DeviceId,
};

/// Message of a device, raw and decoded.
#[derive(Object, Serialize)]
#[oai(rename = "Uplink")]
pub struct UplinkView {
    /// Identifier of the uplink (UUIDv7), which sorts by the time of arrival.
    id: Uuid,
    /// Identifier of the network connection that received the uplink.
    network_connection_id: Id,
    /// Time at which the hub received the uplink.
    received_at: Timestamp,
    /// Time at which the network received the uplink. Equals `received_at` if the network server did not report it.
    time: Timestamp,
    /// LoRaWAN port. Null if the network server did not report it.
    f_port: Option<Port>,
    /// LoRaWAN frame counter. Null if the network server did not report it.
    f_cnt: Option<u32>,
    /// Payload in hexadecimal digits. Null if the network server passed none on.
    raw: Option<String>,
    /// Payload in base64. Null if the network server passed none on.
    raw_base64: Option<String>,
    /// Radio metadata that the network server reported: `frequency` in Hz, `bandwidth` in kHz, `spread_factor`, `rssi`
    /// in dBm, `snr` in dB, the `receptions` by gateways, and more. `network` contains the names of the device in the
    /// network server.
    radio: JsonObject,
    /// Fields that the driver decoded. Null if the device had no driver, the uplink had no application payload, or the
    /// driver failed.
    data: Option<JsonObject>,
    /// Decoded values with their own times, oldest first, if the driver returned such; `data` then contains the latest
    /// value of each field. Otherwise null.
    updates: Option<Vec<UpdateView>>,
    /// Reason why the driver could not decode the uplink. Null if it did not fail.
    error: Option<DriverFailure>,
}

/// Decoded values and their time.
#[derive(Object, Serialize, Deserialize)]
#[oai(rename = "Update")]
pub struct UpdateView {
    /// Time of the values.
    pub timestamp: Timestamp,
    /// Decoded fields.
    pub values: JsonObject,
}

/// Reason why a driver could not decode an uplink.
#[derive(Object, Serialize, Deserialize)]
pub struct DriverFailure {
    /// Kind of the failure, such as `exception`, `cpu_time`, `memory`, `schema`, or `missing` if the driver does not
    /// exist.
    kind: String,
    /// Error message for the author of the driver.
    message: String,
    /// Line of the driver's script, counted from 1. Null if unknown.
    line: Option<u32>,
}

/// Endpoints of `devices/{id}/uplinks` and `devices/{id}/events`.
pub struct DeviceHistoryApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceHistoryApi {
    /// List a device's uplinks
    ///
    /// Returns the uplinks of the device, raw and decoded, with radio metadata and failures of the driver, by `time`
    /// with the newest first. Uplinks are kept for the tenant's `retention_days`, or `uplink_keep_days` (90 days). Fails
    /// with 400 if `to` is before `from`, and with 404 if the device does not exist.
    #[oai(
        path = "/devices/:id/uplinks",
        method = "get",
        operation_id = "list_device_uplinks"
    )]
    async fn list_uplinks(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        /// Start of the period of `time`, inclusive. Absent: no limit.
        from: Query<Option<PointInTime>>,
        /// End of the period of `time`, exclusive. Absent: no limit.
        to: Query<Option<PointInTime>>,
        paging: Paging,
    ) -> Result<Listed<UplinkView>> {
        let scope = caller.scope();
        let device = devices::get(scope, &id.0).await?;
        let window = paging.window()?;
        let span = span::asked(from.0, to.0, scope)?;
        let page = uplinks::list(scope, device.key, span, true, &window.stretch).await?;
        Ok(window.answer(page, UplinkView::from)?)
    }

    /// List a device's events
    ///
    /// Returns failures, warnings and log lines of the device's driver, state changes of its downlinks, and messages of
    /// the network that are not uplinks. Events are kept for `event_keep_days` (30 days). Filters are combined with AND.
    /// Fails with 400 if `to` is before `from`, and with 404 if the device does not exist.
    #[oai(
        path = "/devices/:id/events",
        method = "get",
        operation_id = "list_device_events"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list_events(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        /// Kind of the events.
        kind: Query<Option<EventKind>>,
        /// Start of the period, inclusive. Absent: no limit.
        from: Query<Option<PointInTime>>,
        /// End of the period, exclusive. Absent: no limit.
        to: Query<Option<PointInTime>>,
        /// Sort key; prefix with `-` for descending order. Default: `-at`.
        sort: Query<Option<SortBy<At>>>,
        paging: Paging,
    ) -> Result<Listed<EventView>> {
        let scope = caller.scope();
        let device = devices::get(scope, &id.0).await?;
        let window = paging.window()?;
        let newest_first = SortBy::is_newest_first(sort.0);
        let filter = events::Filter {
            kind: kind.0.map(EventKind::word),
            span: span::asked(from.0, to.0, scope)?,
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
