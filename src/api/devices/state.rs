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
        devices::downlinks::{Configurable, ConfigurableKind, SendOutcome, StateReport},
    },
    text::DeviceId,
};

/// Desired state of a device.
#[derive(Object, Deserialize, Serialize)]
#[oai(rename = "NewDesiredState")]
#[serde(deny_unknown_fields)]
struct DesiredStateBody {
    /// Complete desired state: omitted properties are no longer desired. If the driver has a schema, only its
    /// `configurable` properties are allowed, with values of their types. An empty object removes the desired state.
    /// Nested at most 16 levels deep, without NUL characters.
    desired: JsonObject,
}

/// Reported and desired state of a device, and the transfer of the desired state.
#[derive(Object, Serialize)]
#[oai(rename = "DeviceStateReport")]
struct DeviceStateView {
    /// Latest value of each decoded field, merged from the device's uplinks; includes the state that a stateful driver
    /// keeps. An uplink that arrives late does not replace newer values. Empty before the first decoded uplink.
    reported: JsonObject,
    /// Desired state that a client has set. Empty if none is set.
    desired: JsonObject,
    /// Properties that the desired state may contain, from the schema of the device's driver. Null if there is no
    /// schema, so that any property is allowed.
    configurable: Option<Vec<ConfigurableView>>,
    /// Default values of `configurable` properties, from the schema of the device's driver. The driver encodes them
    /// together with the desired state, whose values take precedence.
    defaults: JsonObject,
    /// Transfer of the desired state to the device. Null if no state is desired.
    transfer: Option<TransferView>,
    /// Revision of the device, which grows with every change by a client. The `ETag` header contains it.
    revision: Count,
    /// Time at which a client last changed the device or its desired state.
    updated_at: Timestamp,
}

/// Property that a desired state may contain.
#[derive(Object, Serialize)]
#[oai(rename = "ConfigurableProperty")]
struct ConfigurableView {
    /// Path of the property, with its parts joined by dots.
    path: String,
    /// Type of the property's values.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: ConfigurableType,
    /// Unit of the property's values. Null if the schema names none.
    unit: Option<String>,
    /// Meaning of the property. Null if the schema does not describe it.
    description: Option<String>,
}

/// Type of a property's values. `json`: an array, or an object that the schema does not describe further.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum ConfigurableType {
    Number,
    Text,
    Boolean,
    Json,
}

/// Transfer of a desired state to its device.
#[derive(Object, Serialize)]
#[oai(rename = "DesiredStateTransfer")]
struct TransferView {
    /// State of the transfer.
    state: TransferState,
    /// Identifier of the downlink that carries the desired state. Null if none was queued.
    downlink_id: Option<Uuid>,
    /// Reason why no downlink was queued, such as a missing driver, encoder or network; otherwise the last error of the
    /// downlink. Null if there was no error.
    reason: Option<String>,
    /// Time of the downlink's last change; for `not_sent`, the time at which the desired state was set.
    at: Timestamp,
}

/// State of the transfer of a desired state to its device: the state of its downlink, or `not_sent` if no downlink was
/// queued.
///
/// - `queued`: waiting in the hub.
/// - `sent`: accepted by the network server.
/// - `acknowledged`: confirmed by the device.
/// - `failed`: given up, or rejected by the network or the device.
/// - `expired`: not sent before its expiry.
/// - `cancelled`: cancelled by a client, or replaced by a newer desired state.
/// - `not_sent`: no downlink could be queued.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum TransferState {
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
    /// No downlink could be queued.
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
    /// Returns the reported state, the desired state, the properties that a desired state may contain, and the transfer
    /// of the desired state to the device. Fails with 404 if the device does not exist.
    #[oai(
        path = "/devices/:id/state",
        method = "get",
        operation_id = "get_device_state"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
    ) -> Result<Single<DeviceStateView>> {
        let report = self.hub.state_report(caller.scope(), &self.codec, &id.0);
        Ok(Single(report.await?.into()))
    }

    /// Replace a device's desired state
    ///
    /// Sets the desired state and queues a downlink that transfers it to the device. The driver encodes the desired
    /// state together with the schema's defaults of omitted properties. Queued downlinks of an older desired state are
    /// cancelled. An empty object removes the desired state and cancels these downlinks.
    ///
    /// Fails with 400, and changes nothing, if a property is not configurable or has the wrong type, if the driver
    /// rejects the values, if the device's downlink queue is full, or if the device has been changed since the version
    /// in `If-Match`. Fails with 404 if the device does not exist.
    ///
    /// If the device has no driver with an encoder, no address, or a network connection without downlink settings, or
    /// if the payload does not have a length that the network accepts, the state is stored without a downlink:
    /// `transfer` and a `desired_state_not_sent` event contain the reason.
    #[oai(
        path = "/devices/:id/state",
        method = "put",
        operation_id = "update_device_state"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// Identifier of the device.
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
            last_outcome,
        } = report;
        Self {
            reported: JsonObject(device.state.reported),
            desired: JsonObject(device.state.desired),
            configurable: configurable
                .map(|columns| columns.into_iter().map(ConfigurableView::from).collect()),
            defaults: JsonObject(defaults),
            transfer: last_outcome.map(TransferView::from),
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

impl From<SendOutcome> for TransferView {
    fn from(last_outcome: SendOutcome) -> Self {
        match last_outcome {
            SendOutcome::Downlink(downlink) => Self {
                state: DownlinkState::from(downlink.state).into(),
                downlink_id: Some(downlink.id),
                reason: downlink.last_error,
                at: Timestamp(downlink.updated_at),
            },
            SendOutcome::NotSent(event) => Self {
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
