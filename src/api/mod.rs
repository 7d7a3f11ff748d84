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

use poem::{Endpoint, EndpointExt, IntoEndpoint};
use poem_openapi::OpenApiService;
use tokio_util::sync::CancellationToken;

use self::{
    document::{form::Form, published},
    http::{
        body::Uncompressing,
        body_room::BodyRooms,
        bounds::{BodyBounds, FACTOR_MAX, OwnBound},
        cross_origin::CrossOrigin,
        declared_error::DeclaredError,
        edge::Edge,
        exporting::Exporting,
        files::Receiving,
        methods::Methods,
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
    (
        data::tables::DataTablesApi,
        data::rows::DataTableRowsApi,
        data::exports::RowExportsApi,
        data::fills::DataTableFillsApi,
        data::imports::RowImportsApi,
        data::scheduled_exports::ScheduledExportsApi,
        data::export_runs::ExportRunsApi,
        data::aggregate::AggregatesApi,
        data::latest::LatestApi,
        data::chart::ChartsApi,
    ),
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
    (
        operations::health::HealthApi,
        operations::metrics::MetricsApi,
    ),
);

/// Operations whose bodies have size bounds of their own.
const BOUNDS: &[OwnBound] = &[devices::imports::IMPORT, data::imports::IMPORT];

/// Errors that are specific to operations.
const ERRORS: &[&[DeclaredError]] = &[
    access::errors::ERRORS,
    data::errors::ERRORS,
    devices::errors::ERRORS,
    drivers::errors::ERRORS,
    integrations::errors::ERRORS,
    live::errors::ERRORS,
    networks::errors::ERRORS,
];

fn operations(hub: &Hub, uplinks: &UplinkPath) -> Operations<AllOperations> {
    let hub = || hub.clone();
    let exporting = Exporting::default();
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
        devices::bulk::DeviceBulkApi {
            exporting: exporting.clone(),
        },
        (
            data::tables::DataTablesApi,
            data::rows::DataTableRowsApi,
            data::exports::RowExportsApi { exporting },
            data::fills::DataTableFillsApi { hub: hub() },
            data::imports::RowImportsApi { hub: hub() },
            data::scheduled_exports::ScheduledExportsApi { hub: hub() },
            data::export_runs::ExportRunsApi { hub: hub() },
            data::aggregate::AggregatesApi { hub: hub() },
            data::latest::LatestApi { hub: hub() },
            data::chart::ChartsApi { hub: hub() },
        ),
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
        (
            operations::health::HealthApi { hub: hub() },
            operations::metrics::MetricsApi { hub: hub() },
        ),
    );
    Operations {
        apis,
        bounds: BOUNDS,
    }
}

/// Returns the text of the published document with `public_url` as its server, or `None` for a document in a file.
pub fn document_text(public_url: Option<&str>, form: Form) -> String {
    published::text::<AllOperations>(public_url, ERRORS, form)
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
    let metrics = hub.metrics.clone();
    let methods = Methods::of::<AllOperations>(document::pages::paths());
    let service = OpenApiService::new(operations(&hub, uplinks), "", "");
    let public_url = config.public_url.clone();
    let public_url = public_url.unwrap_or_else(|| document::published::ORIGIN.to_owned());
    let text = move |form| document_text(Some(&public_url), form);
    document::pages::routes(service.into_endpoint(), text)
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
            cross_origin: CrossOrigin::new(&config.cors_origins, methods.clone()),
            requests: Shares::new(usize::MAX),
            address_requests_max: config.address_requests_max,
            methods,
            allows_plain: false,
            metrics,
            cut,
        })
}

/// Returns the endpoint of the listener for metrics, which needs no token.
pub fn metrics_endpoint(
    hub: Hub,
    allows_plain: bool,
    cut: CancellationToken,
) -> impl Endpoint + 'static + use<> {
    let (config, metrics) = (hub.config.clone(), hub.metrics.clone());
    operations::metrics::alone(hub).with(Edge {
        amend: |_| {},
        timeout: Duration::from_secs(config.request_timeout_s),
        trusted_proxies: config.trusted_proxies.clone(),
        hsts_max_age_s: config.hsts_max_age_s,
        cross_origin: CrossOrigin::default(),
        requests: Shares::new(usize::MAX),
        address_requests_max: config.address_requests_max,
        methods: Methods::default(),
        allows_plain,
        metrics,
        cut,
    })
}
