//! HTTP API: typed endpoints, the behaviour that they share, and the OpenAPI document.
//!
//! | folder | content |
//! |---|---|
//! | `http/` | behaviour that all operations share, from the port up |
//! | `document/` | the steps from the generated document to the published one, and its pages |
//! | the rest | the resources, in the same folders as in `hub` and `store` |

mod access;
mod data;
mod devices;
pub mod document;
mod drivers;
pub mod http;
mod integrations;
mod live;
mod networks;
mod operations;
mod tag;

pub use http::idempotency::place as place_of_answer;
pub use http::tasks::Tasks;

use std::time::Duration;

use poem::{Endpoint, EndpointExt, IntoEndpoint, Route, http::Method};
use poem_openapi::{OpenApi, OpenApiService};
use tokio_util::sync::CancellationToken;

use self::{
    document::published::Documents,
    http::{
        body::Uncompressing,
        body_room::BodyRooms,
        bounds::{BodyBounds, FACTOR_MAX, OwnBound},
        cross_origin::{CrossOrigin, Paths},
        edge::Edge,
        files::Receiving,
        operations::Operations,
    },
};
use crate::{hub::Hub, shares::Shares, uplink::UplinkPath};

/// Endpoints of the driver registry.
type DriverApis = (
    drivers::resource::DriversApi,
    drivers::tags::DriverTagsApi,
    drivers::versions::DriverVersionsApi,
    drivers::usage::DriverUsageApi,
    drivers::archives::DriverArchivesApi,
    drivers::tryout::DriverTryoutApi,
);

/// All operations.
type AllOperations = (
    access::sessions::AuthApi,
    (
        networks::resource::NetworkConnectionsApi,
        networks::events::NetworkConnectionEventsApi,
        networks::check::ConnectionTestApi,
        networks::unknown_devices::UnknownDevicesApi,
        networks::ingest::IngestApi,
    ),
    DriverApis,
    devices::resource::DevicesApi,
    (
        devices::history::DeviceHistoryApi,
        devices::redecode::DeviceRedecodeApi,
        devices::state::DeviceStateApi,
        devices::downlinks::DownlinksApi,
        networks::downlink_settings::DownlinkSettingsApi,
        devices::driver_state::DeviceDriverStateApi,
    ),
    devices::labels::DeviceLabelsApi,
    devices::imports::DeviceImportsApi,
    devices::bulk::DeviceBulkApi,
    (data::tables::DataTablesApi, data::rows::DataTableRowsApi),
    (
        integrations::resource::IntegrationsApi,
        integrations::control::IntegrationControlApi,
        integrations::deliveries::DeliveriesApi,
        integrations::replays::DeliveryReplaysApi,
        integrations::stream::IntegrationStreamApi,
    ),
    live::follow::LiveApi,
    access::users::UsersApi,
    access::api_keys::ApiKeysApi,
    access::tenants::TenantsApi,
    access::audit_log::AuditLogApi,
    operations::health::HealthApi,
);

/// Operations whose bodies have size bounds of their own.
const BOUNDS: &[OwnBound] = &[devices::imports::IMPORT];

fn operations(hub: &Hub, uplinks: &UplinkPath) -> Operations<AllOperations> {
    let hub = || hub.clone();
    let apis = (
        access::sessions::AuthApi { hub: hub() },
        (
            networks::resource::NetworkConnectionsApi { hub: hub() },
            networks::events::NetworkConnectionEventsApi,
            networks::check::ConnectionTestApi { hub: hub() },
            networks::unknown_devices::UnknownDevicesApi,
            networks::ingest::IngestApi {
                uplinks: uplinks.clone(),
            },
        ),
        (
            drivers::resource::DriversApi { hub: hub() },
            drivers::tags::DriverTagsApi,
            drivers::versions::DriverVersionsApi,
            drivers::usage::DriverUsageApi,
            drivers::archives::DriverArchivesApi {
                hub: hub(),
                exporting: drivers::archives::Exporting::default(),
            },
            drivers::tryout::DriverTryoutApi {
                codec: uplinks.codec.clone(),
            },
        ),
        devices::resource::DevicesApi,
        (
            devices::history::DeviceHistoryApi,
            devices::redecode::DeviceRedecodeApi {
                uplinks: uplinks.clone(),
            },
            devices::state::DeviceStateApi {
                hub: hub(),
                codec: uplinks.codec.clone(),
            },
            devices::downlinks::DownlinksApi {
                hub: hub(),
                codec: uplinks.codec.clone(),
            },
            networks::downlink_settings::DownlinkSettingsApi { hub: hub() },
            devices::driver_state::DeviceDriverStateApi,
        ),
        devices::labels::DeviceLabelsApi,
        devices::imports::DeviceImportsApi { hub: hub() },
        devices::bulk::DeviceBulkApi,
        (data::tables::DataTablesApi, data::rows::DataTableRowsApi),
        (
            integrations::resource::IntegrationsApi { hub: hub() },
            integrations::control::IntegrationControlApi { hub: hub() },
            integrations::deliveries::DeliveriesApi { hub: hub() },
            integrations::replays::DeliveryReplaysApi { hub: hub() },
            integrations::stream::IntegrationStreamApi { hub: hub() },
        ),
        live::follow::LiveApi { hub: hub() },
        access::users::UsersApi { hub: hub() },
        access::api_keys::ApiKeysApi,
        access::tenants::TenantsApi { hub: hub() },
        access::audit_log::AuditLogApi,
        operations::health::HealthApi { hub: hub() },
    );
    Operations {
        apis,
        bounds: BOUNDS,
    }
}

/// Returns the published document with `public_url` as its server, or the document's own origin.
pub fn documents(public_url: Option<&str>) -> Documents {
    Documents::of::<AllOperations>(public_url)
}

/// Returns the paths of the operations and of the document, with their methods.
fn paths() -> Paths {
    let mut paths = Paths::default();
    for path in AllOperations::meta().into_iter().flat_map(|api| api.paths) {
        let methods = path.operations.iter().map(|meta| meta.method.clone());
        paths.add(&path.path, methods);
    }
    for page in document::pages::PATHS {
        paths.add(page, [Method::GET]);
    }
    paths
}

/// Returns the API as the server runs it. After `cut` it no longer waits for request bodies.
pub fn endpoint(
    hub: Hub,
    uplinks: &UplinkPath,
    tasks: Tasks,
    cut: CancellationToken,
) -> impl Endpoint + 'static + use<> {
    let config = hub.config.clone();
    let timeout = Duration::from_secs(config.request_timeout_s);
    let service = OpenApiService::new(operations(&hub, uplinks), "", "");
    let documents = documents(config.public_url.as_deref());
    document::pages::routes(Route::new().nest_no_strip("/", service.into_endpoint()))
        .data(documents)
        .data(hub)
        .data(tasks)
        .data(Receiving::default())
        .data(Uncompressing::default())
        .data(BodyRooms::new(config.body_max_bytes * FACTOR_MAX))
        .data(BodyBounds {
            max_bytes: config.body_max_bytes,
            import_max_bytes: config.import_max_bytes,
            timeout: timeout / 2,
        })
        .with(Edge {
            amend: networks::appended::take_off,
            timeout,
            trusted_proxies: config.trusted_proxies.clone(),
            hsts_max_age_s: config.hsts_max_age_s,
            cross_origin: CrossOrigin::new(&config.cors_origins, &paths()),
            requests: Shares::new(usize::MAX),
            address_requests_max: config.address_requests_max,
            cut,
        })
}
