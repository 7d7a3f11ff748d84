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
        let new = body.0.of(id.0).provisioned();
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
