//! Reported and desired state of devices.

use poem::Result;
use poem_openapi::{Enum, Object, OpenApi, param::Path};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::downlinks::DownlinkState;
use crate::{
    api::{
        http::{
            answer::{Revised, Single},
            body::Body,
            caller::Caller,
            mirror::mirror,
            types::{Count, JsonObject, Timestamp},
        },
        tag::Tag,
    },
    codec::Codec,
    hub::{
        Hub,
        devices::downlinks::{Configurable, ConfigurableKind, StateReport, Told},
    },
    text::DeviceId,
};

/// What a device should be
#[derive(Object, Deserialize, Serialize)]
#[oai(rename = "NewDesiredState")]
#[serde(deny_unknown_fields)]
struct DesiredStateBody {
    /// All of it: what is left out is no longer desired. Where the driver has a schema, its `configurable` properties alone, of their types; an empty object desires nothing
    desired: JsonObject,
}

/// What a device last said of itself, and what it should be
#[derive(Object, Serialize)]
#[oai(rename = "DeviceStateReport")]
struct DeviceStateView {
    /// The decoded fields, merged uplink by uplink; empty until the first
    reported: JsonObject,
    /// What it should be
    desired: JsonObject,
    /// What can be desired, by the schema of the device's driver; null where it has none and anything can
    configurable: Option<Vec<ConfigurableView>>,
    /// What the driver's schema says of what can be desired and is not: the driver encodes it together with the desired state
    defaults: JsonObject,
    /// What became of telling the device of its desired state; null where nothing was desired
    transfer: Option<TransferView>,
    /// The device's revision, which grows with every change by a client; it is the ETag
    revision: Count,
    /// When a client last changed the device or what it should be
    updated_at: Timestamp,
}

/// Something that can be desired of a device
#[derive(Object, Serialize)]
#[oai(rename = "ConfigurableProperty")]
struct ConfigurableView {
    /// Its path, its parts joined by dots
    path: String,
    /// What it is: `number`, `text`, `boolean` or `json`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: ConfigurableType,
    /// Its unit
    unit: Option<String>,
    /// What it means
    description: Option<String>,
}

/// What a property that can be desired is
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum ConfigurableType {
    Number,
    Text,
    Boolean,
    Json,
}

/// What became of telling a device of its desired state
#[derive(Object, Serialize)]
#[oai(rename = "DesiredStateTransfer")]
struct TransferView {
    /// The state of the downlink that tells of it, or `not_sent`
    state: TransferState,
    /// The downlink
    downlink_id: Option<Uuid>,
    /// Why the device is not told: no driver, nothing that encodes, no network; or why the downlink failed
    reason: Option<String>,
    /// Since when it is so
    at: Timestamp,
}

/// Where the transfer of a desired state stands
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum TransferState {
    /// Its downlink waits in the hub
    Queued,
    /// The network server has it
    Sent,
    /// The device has confirmed it
    Acknowledged,
    /// It was given up, or the network or the device refused it
    Failed,
    /// It waited too long
    Expired,
    /// It was taken back
    Cancelled,
    /// There is none
    NotSent,
}

/// Endpoints of `devices/{id}/state`.
pub struct DeviceStateApi {
    pub hub: Hub,
    pub codec: Codec,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceStateApi {
    /// Get a device's state
    ///
    /// What it last reported, what it should be, what it can be, and whether it has been told.
    #[oai(
        path = "/devices/:id/state",
        method = "get",
        operation_id = "get_device_state"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
    ) -> Result<Single<DeviceStateView>> {
        let report = self.hub.state_report(caller.scope(), &self.codec, &id.0);
        Ok(Single(report.await?.into()))
    }

    /// Replace a device's desired state
    ///
    /// The device's driver encodes it, with the schema's defaults of what is left out, and the downlink
    /// is queued in the place of one that still waits to tell of an older desired state. What the driver
    /// refuses is a 400. Where nothing encodes, or the device has no network, the state is stored all the
    /// same: `transfer` and an event of the device say why the device is not told.
    #[oai(
        path = "/devices/:id/state",
        method = "put",
        operation_id = "update_device_state"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        body: Body<DesiredStateBody>,
    ) -> Result<Single<DeviceStateView>> {
        let (scope, desired) = (caller.scope(), body.0.desired.0);
        self.hub
            .set_desired_state(scope, &self.codec, &id.0, desired)
            .await?;
        let report = self.hub.state_report(scope, &self.codec, &id.0).await?;
        Ok(Single(report.into()))
    }
}

impl From<StateReport> for DeviceStateView {
    fn from(report: StateReport) -> Self {
        let StateReport {
            device,
            configurable,
            defaults,
            told,
        } = report;
        Self {
            reported: JsonObject(device.state.reported),
            desired: JsonObject(device.state.desired),
            configurable: configurable
                .map(|columns| columns.into_iter().map(ConfigurableView::from).collect()),
            defaults: JsonObject(defaults),
            transfer: told.map(TransferView::from),
            revision: Count::saturating(device.revision),
            updated_at: Timestamp(device.updated_at),
        }
    }
}

impl From<Configurable> for ConfigurableView {
    fn from(property: Configurable) -> Self {
        Self {
            path: property.path,
            kind: property.kind.into(),
            unit: property.unit,
            description: property.description,
        }
    }
}

mirror!(ConfigurableType = ConfigurableKind: Number, Text, Boolean, Json);

impl From<Told> for TransferView {
    fn from(told: Told) -> Self {
        match told {
            Told::Downlink(downlink) => Self {
                state: DownlinkState::from(downlink.state).into(),
                downlink_id: Some(downlink.id),
                reason: downlink.last_error,
                at: Timestamp(downlink.updated_at),
            },
            Told::NotSent(event) => Self {
                state: TransferState::NotSent,
                downlink_id: None,
                reason: event
                    .details
                    .get("reason")
                    .and_then(|reason| Some(reason.as_str()?.to_owned())),
                at: Timestamp(event.at),
            },
        }
    }
}

impl From<DownlinkState> for TransferState {
    fn from(state: DownlinkState) -> Self {
        match state {
            DownlinkState::Queued => Self::Queued,
            DownlinkState::Sent => Self::Sent,
            DownlinkState::Acknowledged => Self::Acknowledged,
            DownlinkState::Failed => Self::Failed,
            DownlinkState::Expired => Self::Expired,
            DownlinkState::Cancelled => Self::Cancelled,
        }
    }
}

impl Revised for DeviceStateView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
