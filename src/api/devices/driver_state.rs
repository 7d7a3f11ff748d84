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

/// What a driver keeps of a device
#[derive(Object, Serialize)]
#[oai(rename = "DriverState")]
struct DriverStateView {
    /// Author and name of the driver that keeps it; null where none has kept anything yet
    driver: Option<String>,
    /// What it gets with the next uplink, as it returned it; another driver begins with an empty one
    state: JsonObject,
}

/// Endpoints of `devices/{id}/driver-state`.
pub struct DeviceDriverStateApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceDriverStateApi {
    /// Get what a device's driver keeps
    ///
    /// The state that it returned last and gets with the next uplink; empty for drivers that keep none.
    #[oai(
        path = "/devices/:id/driver-state",
        method = "get",
        operation_id = "get_driver_state"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// The device's id
        id: Path<DeviceId>,
    ) -> Result<Found<DriverStateView>> {
        let device = devices::get(caller.scope(), &id.0).await?;
        let kept = driver_states::get(caller.scope(), device.key).await?;
        Ok(Found(kept.into()))
    }

    /// Empty what a device's driver keeps
    ///
    /// The driver begins anew with the next uplink, and what the state alone reported is no longer
    /// reported. Answers what the driver had kept.
    #[oai(
        path = "/devices/:id/driver-state",
        method = "delete",
        operation_id = "delete_driver_state"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The device's id
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
