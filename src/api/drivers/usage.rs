//! Devices that use a driver, counted by reference and version.

use poem::Result;
use poem_openapi::{Object, OpenApi, param::Path};
use serde::Serialize;

use crate::{
    api::{
        drivers::resource::key,
        http::{caller::Caller, page::Listed, paging::Paging, types::Count},
        tag::Tag,
    },
    store::drivers::usage::{self, InUse},
    text::{DriverAuthor, DriverName},
};

/// A reference to a driver that devices use
#[derive(Object, Serialize)]
#[oai(rename = "DriverUse")]
struct UseView {
    /// As devices have it: `author/name:tag` or `author/name@sha256:...`; `author/name` counts as `author/name:latest`
    reference: String,
    /// The version that it resolves to now; null where it resolves to none
    digest: Option<String>,
    /// Devices that use it
    devices: Count,
    /// Where the devices themselves are: the list of devices with its filter `driver`
    devices_path: String,
}

/// Endpoint of `drivers/{author}/{name}/usage`.
pub struct DriverUsageApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Drivers")]
impl DriverUsageApi {
    /// List what devices use of a driver
    ///
    /// Each reference that at least one device has, with the version that it resolves to now and the
    /// number of devices.
    #[oai(
        path = "/drivers/:author/:name/usage",
        method = "get",
        operation_id = "list_driver_usage"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Who wrote it
        author: Path<DriverAuthor>,
        /// The driver's name
        name: Path<DriverName>,
        paging: Paging,
    ) -> Result<Listed<UseView>> {
        let key = key(author.0, name.0);
        let window = paging.window()?;
        let page = usage::list(caller.scope(), &key, &window.stretch).await?;
        Ok(window.answer(page, UseView::from)?)
    }
}

impl From<InUse> for UseView {
    fn from(used: InUse) -> Self {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("driver", &used.reference)
            .finish();
        Self {
            devices_path: format!("/api/v3/devices?{query}"),
            reference: used.reference,
            digest: used.digest,
            devices: Count::saturating(used.devices),
        }
    }
}
