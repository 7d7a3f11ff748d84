//! Devices, their recent uplinks and their events.

use chrono::TimeDelta;
use poem::{Result, http::Uri};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use super::Tag;
use crate::{
    api::{
        access::auth::Caller,
        http::{
            answer::{Created, Found, Revised, Single},
            body::Body,
            health_state::HealthStateView,
            page::{Cursor, Listed, Window},
            sort::SortBy,
            types::{Count, Id, JsonObject, LABELS_MAX, Limit, List, Silence, Timestamp},
        },
    },
    hub::{self, selectors::parse_selector},
    id::ConnectionId,
    reference::{DriverReference, Reference},
    store::devices::{self, Address, Device, NewDevice, list},
    text::{Description, DeviceId, DeviceName, Label, Name, NetworkDeviceId, SelectorText},
};

pub(super) mod bulk;
pub(super) mod csv;
pub(super) mod csv_layout;
pub(super) mod csv_records;
pub(super) mod downlinks;
pub(super) mod driver_state;
pub(super) mod files;
pub(super) mod history;
pub(super) mod imports;
pub(super) mod labels;
pub(super) mod redecode;
pub(super) mod row;
pub(super) mod rows;
pub(super) mod state;

/// A device to make
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewDevice")]
pub struct NewDeviceBody {
    /// Unique in the tenant, case-sensitive; the hub makes one up when it is left out
    id: Option<DeviceId>,
    /// For people; unique in the tenant unless empty
    name: Option<DeviceName>,
    /// What it is for
    description: Option<Description>,
    /// The driver that decodes its uplinks: `author/name:tag` follows the tag wherever it moves, `author/name` follows `latest`, `author/name@sha256:...` stays with one version
    driver: Option<DriverReference>,
    /// What selectors pick it by
    #[oai(default)]
    #[serde(default)]
    labels: List<Label, 0, LABELS_MAX>,
    /// For your own use
    metadata: Option<JsonObject>,
    /// Where its messages come from
    connectivity: Option<Connectivity>,
}

/// What takes the place of a device
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceUpdate {
    /// For people; unique in the tenant unless empty
    name: Option<DeviceName>,
    /// What it is for
    description: Option<Description>,
    /// The driver that decodes its uplinks: `author/name:tag`, `author/name` for `latest`, or `author/name@sha256:...`
    driver: Option<DriverReference>,
    /// What selectors pick it by
    #[oai(default)]
    #[serde(default)]
    labels: List<Label, 0, LABELS_MAX>,
    /// For your own use
    metadata: Option<JsonObject>,
    /// Where its messages come from
    connectivity: Option<Connectivity>,
}

/// Where a device's messages come from
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Connectivity {
    /// Its addresses
    connections: List<AddressBody, 0, 16>,
}

/// A device's address in a network
#[derive(Object, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "DeviceConnection")]
struct AddressBody {
    /// The network connection
    network_connection_id: Id,
    /// The device's id there, such as its DevEUI (whose case does not matter)
    network_device_id: NetworkDeviceId,
}

/// A device
#[derive(Object, Serialize)]
#[oai(rename = "Device")]
pub struct DeviceView {
    /// Unique in the tenant
    id: String,
    /// For people; may be empty
    name: String,
    /// What it is for
    description: String,
    /// The driver that decodes its uplinks
    driver: Option<String>,
    /// What selectors pick it by
    labels: Vec<String>,
    /// For your own use
    metadata: JsonObject,
    /// Where its messages come from
    connectivity: ConnectivityView,
    /// What it last said, and what it should be
    state: StateView,
    /// `failing` when its driver could make nothing of its last uplink, else `ok`; `never_seen` before the
    /// first
    health: HealthStateView,
    /// Its last message; null before the first
    last_data_received: Option<LastDataView>,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When it was made
    created_at: Timestamp,
    /// When it was last changed by a client
    updated_at: Timestamp,
}

/// Where a device's messages come from
#[derive(Object, Serialize)]
#[oai(rename = "DeviceConnectivity")]
struct ConnectivityView {
    /// Its addresses
    connections: Vec<AddressView>,
}

/// A device's address in a network
#[derive(Object, Serialize)]
#[oai(rename = "DeviceAddress")]
struct AddressView {
    /// The network connection
    network_connection_id: Id,
    /// The device's id there
    network_device_id: String,
}

/// A device's state
#[derive(Object, Serialize)]
#[oai(rename = "DeviceState")]
struct StateView {
    /// The decoded fields, merged uplink by uplink; empty until the first
    reported: JsonObject,
    /// What it should be
    desired: JsonObject,
}

/// A device's last message
#[derive(Object, Serialize)]
#[oai(rename = "LastDataReceived")]
struct LastDataView {
    /// When the hub received it
    received_at: Timestamp,
    /// Its payload in hexadecimal digits; null if it had none that the network passed on
    raw: Option<String>,
}

/// `devices`.
pub struct DevicesApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DevicesApi {
    /// Create a device
    ///
    /// From its next message on, what the network connections receive for its addresses is its.
    #[oai(path = "/devices", method = "post", operation_id = "create_device")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<NewDeviceBody>,
    ) -> Result<Created<DeviceView>> {
        let device = hub::devices::create(caller.scope(), body.0.provisioned()).await?;
        let location = format!("/api/v3/devices/{}", device.provisioned.id);
        Ok(Created {
            location,
            body: device.into(),
        })
    }

    /// List devices
    ///
    /// Those of the tenant, or those that the filters leave, complete with state and last data.
    #[oai(path = "/devices", method = "get", operation_id = "list_devices")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those that this picks by their labels, such as `site=berlin, !retired`
        selector: Query<Option<SelectorText>>,
        /// Only those with an address in this network connection
        network_connection_id: Query<Option<Id>>,
        /// Only those with this driver: `author/name` however they refer to it, `author/name:tag`, or `author/name@sha256:...` for those that are pinned
        driver: Query<Option<DriverReference>>,
        /// Only those that have sent nothing for so many seconds, or never anything: 86400 is a day
        silent_for_s: Query<Option<Silence>>,
        /// Only those that are so: `ok` when the driver could make something of the last uplink, or there is
        /// no driver, `failing` when it could not, `never_seen` before the first uplink. How long ago the
        /// last one was is `silent_for_s`'s to say: with `ok`, those that were fine and fell silent
        health: Query<Option<HealthStateView>>,
        /// Only those with this text in id, name or description, whatever its case
        q: Query<Option<Name>>,
        /// What orders them; a minus turns it round. `created_at` by default
        sort: Query<Option<SortBy<list::SortBy>>>,
        /// Most items on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        /// Whether to count the items of all pages, too; it costs about as much as reading them all
        total: Query<Option<bool>>,
        uri: &Uri,
    ) -> Result<Listed<DeviceView>> {
        let window = Window::new(uri, limit.0, cursor.0, total.0)?;
        let sort = SortBy::or(sort.0, list::SortBy::Created);
        let filter = list::Filter {
            selector: selector.0.map(|text| parse_selector(&text)).transpose()?,
            connection: network_connection_id.0.map(|id| ConnectionId(*id)),
            driver: driver.0.and_then(|text| Reference::parse(&text)),
            silent_for: silent_for_s.0.map(|silence| TimeDelta::seconds(*silence)),
            health: health.0.map(HealthStateView::into),
            search: q.0.map(Name::into_string),
        };
        let page = list::list(caller.scope(), &filter, sort, &window.stretch).await?;
        Ok(window.answer(page, DeviceView::from)?)
    }

    /// Get a device
    ///
    /// With its state and last data.
    #[oai(path = "/devices/:id", method = "get", operation_id = "get_device")]
    async fn get(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
    ) -> Result<Single<DeviceView>> {
        Ok(Single(devices::get(caller.scope(), &id.0).await?.into()))
    }

    /// Replace a device
    ///
    /// What is left out is emptied; the id, the state and the uplinks stay.
    #[oai(path = "/devices/:id", method = "put", operation_id = "update_device")]
    async fn update(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
        body: Body<DeviceUpdate>,
    ) -> Result<Single<DeviceView>> {
        let new = body.0.provisioned(id.0.into_string());
        Ok(Single(
            hub::devices::update(caller.scope(), new).await?.into(),
        ))
    }

    /// Delete a device
    ///
    /// With its uplinks and events; rows of data tables stay. Answers what was deleted.
    #[oai(
        path = "/devices/:id",
        method = "delete",
        operation_id = "delete_device"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
    ) -> Result<Found<DeviceView>> {
        Ok(Found(devices::delete(caller.scope(), &id.0).await?.into()))
    }
}

impl NewDeviceBody {
    /// The device that it is about; its id is empty where the hub makes one up.
    pub fn provisioned(self) -> NewDevice {
        let Self {
            id,
            name,
            description,
            driver,
            labels,
            metadata,
            connectivity,
        } = self;
        let id = id.map(DeviceId::into_string).unwrap_or_default();
        let update = DeviceUpdate {
            name,
            description,
            driver,
            labels,
            metadata,
            connectivity,
        };
        update.provisioned(id)
    }
}

impl DeviceUpdate {
    fn provisioned(self, id: String) -> NewDevice {
        let Self {
            name,
            description,
            driver,
            labels,
            metadata,
            connectivity,
        } = self;
        let connections = connectivity
            .map(|connectivity| connectivity.connections.0)
            .unwrap_or_default();
        NewDevice {
            id,
            name: name.map(DeviceName::into_string).unwrap_or_default(),
            description: description
                .map(Description::into_string)
                .unwrap_or_default(),
            driver: driver.map(DriverReference::into_string),
            labels: labels.0.into_iter().map(Label::into_string).collect(),
            metadata: metadata.unwrap_or_default().0,
            connections: connections
                .into_iter()
                .map(|address| Address {
                    network_connection_id: *address.network_connection_id,
                    network_device_id: address.network_device_id.into_string(),
                })
                .collect(),
        }
    }
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        let Device {
            key: _,
            provisioned,
            state,
            revision,
            created_at,
            updated_at,
        } = device;
        let NewDevice {
            id,
            name,
            description,
            driver,
            labels,
            metadata,
            connections,
        } = provisioned;
        Self {
            id,
            name,
            description,
            driver,
            labels,
            metadata: JsonObject(metadata),
            connectivity: ConnectivityView {
                connections: connections
                    .into_iter()
                    .map(|address| AddressView {
                        network_connection_id: Id::saturating(address.network_connection_id),
                        network_device_id: address.network_device_id,
                    })
                    .collect(),
            },
            health: state.health().into(),
            last_data_received: state.received_at.map(|received_at| LastDataView {
                received_at: Timestamp(received_at),
                raw: state.raw.map(hex::encode),
            }),
            state: StateView {
                reported: JsonObject(state.reported),
                desired: JsonObject(state.desired),
            },
            revision: Count::saturating(revision),
            created_at: Timestamp(created_at),
            updated_at: Timestamp(updated_at),
        }
    }
}

impl Revised for DeviceView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
