//! Devices.

use chrono::TimeDelta;
use poem::Result;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        devices::{
            body::{DeviceUpdate, NewDeviceBody},
            view::DeviceView,
        },
        http::{
            answer::{Created, Found, Single},
            body::Body,
            caller::Caller,
            health_state::HealthStateView,
            page::Listed,
            paging::Paging,
            sort::SortBy,
            types::{Id, Silence},
        },
        tag::Tag,
    },
    hub::{self, selectors::parse_selector},
    id::ConnectionId,
    reference::{DriverReference, Reference},
    store::devices::{self, list},
    text::{DeviceId, Name, SelectorText},
};

/// Endpoints of `devices`.
pub struct DevicesApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DevicesApi {
    /// Create a device
    ///
    /// Creates a device. Messages that network connections receive for its addresses are assigned to it from now on.
    ///
    /// Fails with 400 if the id, the name or an address belongs to another device, if the driver or a network
    /// connection does not exist, or if an address does not have the form that the network server requires.
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
    /// Returns the tenant's devices with their state and last message, page by page. Filters are combined with AND.
    ///
    /// Fails with 400 if the selector is invalid: the error text names the column. A selector combines conditions on
    /// labels with `,` or `and`, `or`, `!` or `not`, and parentheses. A condition is `label`, `key=value`,
    /// `key!=value`, `key in (a, b)` or `key not in (a, b)`; a label that contains `=` consists of a key and a value,
    /// and `key` alone matches all of its values. Labels are compared exactly; one with spaces must be in double
    /// quotes. A selector has at most 256 conditions and 32 levels of parentheses.
    #[oai(path = "/devices", method = "get", operation_id = "list_devices")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Label selector that the devices must match, such as `site=berlin, !retired`. Empty or absent: all devices.
        selector: Query<Option<SelectorText>>,
        /// Identifier of a network connection in which the devices have an address.
        network_connection_id: Query<Option<Id>>,
        /// Reference to the driver that the devices use. `author/name` matches all references to this driver, whatever
        /// the tag or version. `author/name:tag` and `author/name@sha256:...` match devices with exactly this
        /// reference; `author/name:latest` also matches `author/name`.
        driver: Query<Option<DriverReference>>,
        /// Minimum time since the last message in seconds, such as 86400 for a day. Also matches devices that have
        /// never sent a message.
        silent_for_s: Query<Option<Silence>>,
        /// Health of the devices. Combine `ok` with `silent_for_s` to find devices that worked and have fallen silent.
        health: Query<Option<HealthStateView>>,
        /// Text that the id, the name or the description contains, ignoring case.
        q: Query<Option<Name>>,
        /// Sort key; prefix with `-` for descending order. Default: `created_at`.
        sort: Query<Option<SortBy<list::SortBy>>>,
        paging: Paging,
    ) -> Result<Listed<DeviceView>> {
        let window = paging.window()?;
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
    /// Returns the device with its state and its last message. Fails with 404 if the device does not exist.
    #[oai(path = "/devices/:id", method = "get", operation_id = "get_device")]
    async fn get(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
    ) -> Result<Single<DeviceView>> {
        Ok(Single(devices::get(caller.scope(), &id.0).await?.into()))
    }

    /// Replace a device
    ///
    /// Replaces the configuration of a device. Omitted fields are reset to their defaults; the id, the state and the
    /// uplinks remain.
    ///
    /// Fails with 400 if the name or an address belongs to another device, if the driver or a network connection does
    /// not exist, if an address does not have the form that the network server requires, or if the device has been
    /// changed since the version in `If-Match`. Fails with 404 if the device does not exist.
    #[oai(path = "/devices/:id", method = "put", operation_id = "update_device")]
    async fn update(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        body: Body<DeviceUpdate>,
    ) -> Result<Single<DeviceView>> {
        let new = body.0.of(id.0).provisioned();
        Ok(Single(
            hub::devices::update(caller.scope(), new).await?.into(),
        ))
    }

    /// Delete a device
    ///
    /// Deletes a device with its uplinks, events and downlinks, and returns the deleted device. Its rows in data tables
    /// remain. Fails with 400 if the device has been changed since the version in `If-Match`, and with 404 if it does
    /// not exist.
    #[oai(
        path = "/devices/:id",
        method = "delete",
        operation_id = "delete_device"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
    ) -> Result<Found<DeviceView>> {
        Ok(Found(devices::delete(caller.scope(), &id.0).await?.into()))
    }
}
