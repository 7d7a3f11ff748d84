//! Everything HTTP: typed endpoints, the shared behaviour around them, and the document they make.
//!
//! | folder | what it is |
//! |---|---|
//! | `http/` | what all operations share, from the port up |
//! | `document/` | the steps from the raw document to the published one, and its pages |
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

pub use http::idempotency::place as place_of_answer;
pub use http::tasks::Tasks;

use std::time::Duration;

use poem::{Endpoint, EndpointExt, IntoEndpoint, Route};
use poem_openapi::{OpenApiService, Tags};
use tokio_util::sync::CancellationToken;

use self::{
    document::Documents,
    http::{
        body::{BodyBounds, FACTOR_MAX, Uncompressing},
        body_room::BodyRooms,
        edge::Edge,
        files::Receiving,
        operation::Operations,
    },
};
use crate::{hub::Hub, shares::Shares, uplink::UplinkPath};

/// The groups of operations, in the order of a first visit.
#[derive(Tags)]
enum Tag {
    /// Log in, log out, and who is logged in.
    #[oai(rename = "Log in")]
    Auth,
    /// Where messages come in: network servers and their webhooks.
    #[oai(rename = "Network connections")]
    NetworkConnections,
    /// JavaScript that decodes what devices send.
    Drivers,
    /// The devices, their state and what they sent.
    Devices,
    /// Long-term storage of decoded data.
    #[oai(rename = "Data tables")]
    DataTables,
    /// Forwarding of data to other systems.
    Integrations,
    /// What happens, as it happens.
    Events,
    /// People who may log in, and the own account.
    Users,
    /// Permanent tokens for programs.
    #[oai(rename = "API keys")]
    ApiKeys,
    /// The tenants of the installation, for who manages it.
    Tenants,
    /// Who changed what.
    #[oai(rename = "Audit log")]
    AuditLog,
    /// Whether the hub lives and can work.
    Health,
}

/// The registry of drivers.
type DriverApis = (
    drivers::DriversApi,
    drivers::tags::DriverTagsApi,
    drivers::versions::DriverVersionsApi,
    drivers::usage::DriverUsageApi,
    drivers::archives::DriverArchivesApi,
    drivers::tryout::DriverTryoutApi,
);

/// All operations.
type AllOperations = (
    access::auth::AuthApi,
    (
        networks::NetworkConnectionsApi,
        networks::check::ConnectionTestApi,
        networks::unknown_devices::UnknownDevicesApi,
        networks::ingest::IngestApi,
    ),
    DriverApis,
    devices::DevicesApi,
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
    data::tables::DataTablesApi,
    (
        integrations::IntegrationsApi,
        integrations::health::IntegrationHealthApi,
        integrations::deliveries::DeliveriesApi,
        integrations::replays::DeliveryReplaysApi,
        integrations::stream::IntegrationStreamApi,
    ),
    live::LiveApi,
    access::users::UsersApi,
    access::api_keys::ApiKeysApi,
    access::tenants::TenantsApi,
    access::audit_log::AuditLogApi,
    operations::health::HealthApi,
);

fn operations(hub: &Hub, uplinks: &UplinkPath) -> Operations<AllOperations> {
    let hub = || hub.clone();
    Operations((
        access::auth::AuthApi { hub: hub() },
        (
            networks::NetworkConnectionsApi { hub: hub() },
            networks::check::ConnectionTestApi { hub: hub() },
            networks::unknown_devices::UnknownDevicesApi,
            networks::ingest::IngestApi {
                uplinks: uplinks.clone(),
            },
        ),
        (
            drivers::DriversApi { hub: hub() },
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
        devices::DevicesApi,
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
        data::tables::DataTablesApi,
        (
            integrations::IntegrationsApi { hub: hub() },
            integrations::health::IntegrationHealthApi { hub: hub() },
            integrations::deliveries::DeliveriesApi { hub: hub() },
            integrations::replays::DeliveryReplaysApi { hub: hub() },
            integrations::stream::IntegrationStreamApi { hub: hub() },
        ),
        live::LiveApi { hub: hub() },
        access::users::UsersApi { hub: hub() },
        access::api_keys::ApiKeysApi,
        access::tenants::TenantsApi { hub: hub() },
        access::audit_log::AuditLogApi,
        operations::health::HealthApi { hub: hub() },
    ))
}

/// The API as the server runs it. At `cut` it waits for no body any more.
pub fn endpoint(
    hub: Hub,
    uplinks: &UplinkPath,
    tasks: Tasks,
    cut: CancellationToken,
) -> impl Endpoint + 'static + use<> {
    let config = hub.config.clone();
    let timeout = Duration::from_secs(config.request_timeout_s);
    let service = OpenApiService::new(operations(&hub, uplinks), "", "");
    let documents = Documents::new(config.public_url.as_deref());
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
            timeout,
            trusted_proxies: config.trusted_proxies.clone(),
            hsts_max_age_s: config.hsts_max_age_s,
            requests: Shares::new(usize::MAX),
            address_requests_max: config.address_requests_max,
            cut,
        })
}
