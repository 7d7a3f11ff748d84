//! State that a driver keeps for a device.

use poem::Result;
use poem_openapi::{Object, OpenApi, param::Path};
use serde::Serialize;

use crate::{
    api::{
        http::{answer::Found, caller::Caller, types::JsonObject},
        tag::Tag,
    },
    store::devices::{
        self,
        driver_states::{self, Kept},
    },
    text::DeviceId,
};

/// State that a stateful driver keeps for a device.
#[derive(Object, Serialize)]
#[oai(rename = "DriverState")]
struct DriverStateView {
    /// Author and name of the driver that returned the state. Null if no driver has returned one.
    driver: Option<String>,
    /// State as the driver last returned it. The same driver receives it with the next uplink; another driver starts
    /// with an empty state.
    state: JsonObject,
}

/// Endpoints of `devices/{id}/driver-state`.
pub struct DeviceDriverStateApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceDriverStateApi {
    /// Get a device's driver state
    ///
    /// Returns the state that the driver last returned and receives with the next uplink. The state is empty for
    /// drivers that keep none. Fails with 404 if the device does not exist.
    #[oai(
        path = "/devices/:id/driver-state",
        method = "get",
        operation_id = "get_driver_state"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
    ) -> Result<Found<DriverStateView>> {
        let device = devices::get(caller.scope(), &id.0).await?;
        let kept = driver_states::get(caller.scope(), device.key).await?;
        Ok(Found(kept.into()))
    }

    /// Reset a device's driver state
    ///
    /// Empties the driver state, so that the driver starts without a state at the next uplink, and removes the fields
    /// of this state from the device's reported state. Returns the previous driver state. Fails with 404 if the device
    /// does not exist.
    #[oai(
        path = "/devices/:id/driver-state",
        method = "delete",
        operation_id = "delete_driver_state"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
    ) -> Result<Found<DriverStateView>> {
        let device = devices::get(caller.scope(), &id.0).await?;
        let kept = driver_states::reset(caller.scope(), device.key, &id.0).await?;
        Ok(Found(kept.into()))
    }
}

impl From<Option<Kept>> for DriverStateView {
    fn from(kept: Option<Kept>) -> Self {
        let (driver, state) = kept.map(|kept| (kept.driver, kept.state)).unzip();
        Self {
            driver,
            state: JsonObject(state.unwrap_or_default()),
        }
    }
}
