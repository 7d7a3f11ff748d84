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

/// Reference to a driver that devices use.
#[derive(Object, Serialize)]
#[oai(rename = "DriverUse")]
struct UseView {
    /// Reference in the field `driver` of the devices: `author/name:tag` or `author/name@sha256:...`. `author/name`
    /// counts as `author/name:latest`.
    reference: String,
    /// Digest of the version that the reference currently resolves to; null if there is no such version.
    digest: Option<String>,
    /// Number of devices with the reference.
    devices: Count,
    /// Path and query that lists the devices with the reference.
    devices_path: String,
}

/// Endpoint of `drivers/{author}/{name}/usage`.
pub struct DriverUsageApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Drivers")]
impl DriverUsageApi {
    /// List usage of a driver
    ///
    /// Returns the references to a driver that devices have, each with its current version and its number of devices.
    /// Fails with 404 if the driver does not exist or is built in.
    #[oai(
        path = "/drivers/:author/:name/usage",
        method = "get",
        operation_id = "list_driver_usage"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Author of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or
        /// digit at both ends.
        author: Path<DriverAuthor>,
        /// Name of the driver. Consists of ASCII letters, digits, dots, dashes and underscores, with a letter or digit
        /// at both ends.
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
