//! Unknown devices, which send over a network connection without having been provisioned.

use poem::Result;
use poem_openapi::{Object, OpenApi, param::Path};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        devices::{body::NewDeviceBody, view::DeviceView},
        http::{
            answer::Created,
            body::Body,
            caller::Caller,
            page::Listed,
            paging::Paging,
            types::{Count, Id, LABELS_MAX, List, Timestamp},
        },
        tag::Tag,
    },
    hub,
    id::ConnectionId,
    reference::DriverReference,
    store::{
        devices::{Address, NewDevice},
        networks::{
            self,
            unknown_devices::{self, UnknownDevice},
        },
    },
    text::{Description, DeviceId, DeviceLabel, DeviceName, NetworkDeviceId},
};

/// A device that sends and that nobody provisioned
#[derive(Object, Serialize)]
#[oai(rename = "UnknownDevice")]
struct UnknownDeviceView {
    /// The device's id in its network, such as its DevEUI
    network_device_id: String,
    /// What the network server calls it
    network_name: Option<String>,
    /// The application that it belongs to in the network server
    application: Option<String>,
    /// When it was first heard
    first_seen_at: Timestamp,
    /// When it was last heard
    last_seen_at: Timestamp,
    /// How many messages it has sent
    messages: Count,
    /// LoRaWAN port of its last message
    f_port: Option<u8>,
    /// Its last payload in hexadecimal digits
    raw: Option<String>,
}

/// What an unknown device becomes
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct Adoption {
    /// Unique in the tenant, case-sensitive; the hub makes one up when it is left out
    id: Option<DeviceId>,
    /// For people; unique in the tenant unless empty
    name: Option<DeviceName>,
    /// What it is for
    description: Option<Description>,
    /// The driver that decodes its uplinks
    driver: Option<DriverReference>,
    /// What selectors pick it by
    #[oai(default)]
    #[serde(default)]
    labels: List<DeviceLabel, 0, LABELS_MAX>,
}

/// Endpoints of `network-connections/{id}/unknown-devices`.
pub struct UnknownDevicesApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::NetworkConnections")]
impl UnknownDevicesApi {
    /// List a network connection's unknown devices
    ///
    /// Those that send and that nobody provisioned, the newest first. A connection keeps the 1000 that
    /// were heard last.
    #[oai(
        path = "/network-connections/:id/unknown-devices",
        method = "get",
        operation_id = "list_unknown_devices"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
        paging: Paging,
    ) -> Result<Listed<UnknownDeviceView>> {
        let scope = caller.scope();
        let id = networks::get(scope, ConnectionId(**id)).await?.id;
        let window = paging.window()?;
        let page = unknown_devices::list(scope, id, true, &window.stretch).await?;
        Ok(window.answer(page, UnknownDeviceView::from)?)
    }

    /// Adopt an unknown device
    ///
    /// Makes a device with its address. From its next message on, what it sends is the device's.
    #[oai(
        path = "/network-connections/:id/unknown-devices/:network_device_id/adopt",
        method = "post",
        operation_id = "adopt_unknown_device"
    )]
    async fn adopt(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
        /// The device's id in its network, as the list tells it
        network_device_id: Path<NetworkDeviceId>,
        body: Body<Adoption>,
    ) -> Result<Created<DeviceView>> {
        let scope = caller.scope();
        let id = networks::get(scope, ConnectionId(**id)).await?.id;
        let unknown = unknown_devices::get(scope, id, &network_device_id.0).await?;
        let new = body.0.provisioned(Address {
            network_connection_id: id.0,
            network_device_id: unknown.last.network_device_id,
        });
        let device = hub::devices::create(scope, new).await?;
        let location = format!("/api/v3/devices/{}", device.provisioned.id);
        Ok(Created {
            location,
            body: device.into(),
        })
    }
}

impl Adoption {
    fn provisioned(self, address: Address) -> NewDevice {
        let device = NewDeviceBody {
            id: self.id,
            name: self.name,
            description: self.description,
            driver: self.driver,
            labels: self.labels,
            metadata: None,
            connectivity: None,
        };
        NewDevice {
            connections: vec![address],
            ..device.provisioned()
        }
    }
}

impl From<UnknownDevice> for UnknownDeviceView {
    fn from(device: UnknownDevice) -> Self {
        let UnknownDevice {
            last,
            first_seen_at,
            last_seen_at,
            messages,
        } = device;
        Self {
            network_device_id: last.network_device_id,
            network_name: last.name,
            application: last.application,
            first_seen_at: Timestamp(first_seen_at),
            last_seen_at: Timestamp(last_seen_at),
            messages: Count::saturating(messages),
            f_port: last.f_port,
            raw: last.raw.map(hex::encode),
        }
    }
}
