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

/// A sender of uplinks that is not a device of the tenant.
#[derive(Object, Serialize)]
#[oai(rename = "UnknownDevice")]
struct UnknownDeviceView {
    /// Identifier of the device in its network, such as its DevEUI.
    network_device_id: String,
    /// Name of the device in the network server; null if it does not report one.
    network_name: Option<String>,
    /// Identifier of the device's application in the network server; null if it does not report one.
    application: Option<String>,
    /// Time of the first message.
    first_seen_at: Timestamp,
    /// Time of the last message.
    last_seen_at: Timestamp,
    /// Number of messages.
    messages: Count,
    /// LoRaWAN port of the last message; null if it had none.
    f_port: Option<u8>,
    /// Payload of the last message, in hexadecimal digits; null if it had none.
    raw: Option<String>,
}

/// Device to create for an unknown device.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct Adoption {
    /// Identifier of the device, unique in the tenant and case-sensitive: letters, digits and single inner dashes. If
    /// omitted or null, the hub generates one.
    id: Option<DeviceId>,
    /// Name of the device, for people, without control characters. Unique in the tenant unless empty. Empty if omitted
    /// or null.
    name: Option<DeviceName>,
    /// Purpose of the device, for people, without control characters except tabs and line breaks. Empty if omitted or
    /// null.
    description: Option<Description>,
    /// Driver that decodes the device's uplinks. If omitted or null, the hub stores them without decoding.
    driver: Option<DriverReference>,
    /// Labels of the device, at most 64, by which selectors match it. If omitted, it has none.
    #[oai(default)]
    #[serde(default)]
    labels: List<DeviceLabel, 0, LABELS_MAX>,
}

/// Endpoints of `network-connections/{id}/unknown-devices`.
pub struct UnknownDevicesApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::NetworkConnections")]
impl UnknownDevicesApi {
    /// List unknown devices
    ///
    /// Returns the senders of uplinks on this connection that are not devices of the tenant, the most recently
    /// discovered first. The hub keeps the 1,000 unknown devices of a connection that have sent most recently.
    #[oai(
        path = "/network-connections/:id/unknown-devices",
        method = "get",
        operation_id = "list_unknown_devices"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
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
    /// Creates a device with the address of the unknown device. Messages received from this address are assigned to the
    /// new device from now on.
    ///
    /// Fails with 404 if the connection has no such unknown device. Fails with 400 if another device of the tenant has
    /// the `id` or `name`, or if the driver does not exist.
    #[oai(
        path = "/network-connections/:id/unknown-devices/:network_device_id/adopt",
        method = "post",
        operation_id = "adopt_unknown_device"
    )]
    async fn adopt(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
        id: Path<Id>,
        /// Identifier of the device in its network, as `list_unknown_devices` returns it.
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
