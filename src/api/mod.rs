//! Everything HTTP: typed endpoints, the shared behaviour around them, and the document they make.
//!
//! | file | what it is |
//! |---|---|
//! | `edge.rs`, `client.rs`, `host.rs`, `leftover.rs` | the outermost layer, and who is at the other end |
//! | `listener.rs`, `server.rs`, `connection.rs`, `activity.rs`, `taking.rs`, `refusal.rs` | the port below: how many connections, for how long, with how much on its way |
//! | `operation.rs`, `failure.rs`, `auth.rs`, `idempotency.rs`, `tasks.rs` | what every operation shares: its declaration, its errors, who may run it, that it comes to its end |
//! | `types.rs`, `body.rs`, `bodiless.rs`, `encoding.rs`, `strict.rs`, `upload.rs`, `driver_content.rs`, `files.rs`, `file_form.rs`, `file_encoding.rs`, `device_files.rs`, `device_rows.rs`, `device_row.rs`, `device_csv.rs`, `csv_layout.rs`, `csv_records.rs`, `csv_guard.rs`, `answer.rs`, `page.rs` | what goes in and out |
//! | `spec/` | the steps from the raw document to the published one |
//! | `docs.rs` | the document and its pages: Swagger UI and Redoc |
//! | the rest | one file per resource |

mod activity;
mod answer;
mod api_keys;
mod appended;
mod audit_log;
mod auth;
mod auto_provisioning;
mod bodiless;
mod body;
mod body_room;
mod client;
mod connection;
mod connection_test;
mod csv_guard;
mod csv_layout;
mod csv_records;
mod data_table_export;
mod data_tables;
mod deliveries;
mod delivery_policy;
mod delivery_replays;
mod device_bulk;
mod device_csv;
mod device_driver_state;
mod device_files;
mod device_history;
mod device_imports;
mod device_labels;
mod device_redecode;
mod device_row;
mod device_rows;
mod device_state;
mod devices;
mod docs;
mod downlink_settings;
mod downlinks;
mod driver_archives;
mod driver_content;
mod driver_tags;
mod driver_tryout;
mod driver_usage;
mod driver_versions;
mod drivers;
mod edge;
mod encoding;
mod events;
mod failure;
mod file_encoding;
mod file_form;
mod files;
mod health;
mod health_state;
mod host;
mod idempotency;
mod ingest;
mod integration_health;
mod integration_payload;
mod integration_stream;
mod integration_targets;
mod integrations;
mod leftover;
pub mod listener;
mod live;
mod mqtt_broker;
mod network_connections;
mod network_settings;
mod operation;
mod page;
mod refusal;
pub mod server;
mod server_tls;
mod sort;
mod span;
pub mod spec;
mod strict;
mod taking;
mod tasks;
mod tenants;
mod types;
mod unknown_devices;
mod upload;
mod users;

pub use idempotency::place as place_of_answer;
pub use tasks::Tasks;

use std::time::Duration;

use poem::{Endpoint, EndpointExt, IntoEndpoint, Route};
use poem_openapi::{OpenApiService, Tags};
use tokio_util::sync::CancellationToken;

use self::{
    body::{BodyBounds, FACTOR_MAX, Uncompressing},
    body_room::BodyRooms,
    edge::Edge,
    files::Receiving,
    operation::Operations,
    spec::Documents,
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
    driver_tags::DriverTagsApi,
    driver_versions::DriverVersionsApi,
    driver_usage::DriverUsageApi,
    driver_archives::DriverArchivesApi,
    driver_tryout::DriverTryoutApi,
);

/// All operations.
type AllOperations = (
    auth::AuthApi,
    (
        network_connections::NetworkConnectionsApi,
        connection_test::ConnectionTestApi,
        unknown_devices::UnknownDevicesApi,
        ingest::IngestApi,
    ),
    DriverApis,
    devices::DevicesApi,
    (
        device_history::DeviceHistoryApi,
        device_redecode::DeviceRedecodeApi,
        device_state::DeviceStateApi,
        downlinks::DownlinksApi,
        downlink_settings::DownlinkSettingsApi,
        device_driver_state::DeviceDriverStateApi,
    ),
    device_labels::DeviceLabelsApi,
    device_imports::DeviceImportsApi,
    device_bulk::DeviceBulkApi,
    data_tables::DataTablesApi,
    (
        integrations::IntegrationsApi,
        integration_health::IntegrationHealthApi,
        deliveries::DeliveriesApi,
        delivery_replays::DeliveryReplaysApi,
        integration_stream::IntegrationStreamApi,
    ),
    live::LiveApi,
    users::UsersApi,
    api_keys::ApiKeysApi,
    tenants::TenantsApi,
    audit_log::AuditLogApi,
    health::HealthApi,
);

fn operations(hub: &Hub, uplinks: &UplinkPath) -> Operations<AllOperations> {
    let hub = || hub.clone();
    Operations((
        auth::AuthApi { hub: hub() },
        (
            network_connections::NetworkConnectionsApi { hub: hub() },
            connection_test::ConnectionTestApi { hub: hub() },
            unknown_devices::UnknownDevicesApi,
            ingest::IngestApi {
                uplinks: uplinks.clone(),
            },
        ),
        (
            drivers::DriversApi { hub: hub() },
            driver_tags::DriverTagsApi,
            driver_versions::DriverVersionsApi,
            driver_usage::DriverUsageApi,
            driver_archives::DriverArchivesApi {
                hub: hub(),
                exporting: driver_archives::Exporting::default(),
            },
            driver_tryout::DriverTryoutApi {
                uplinks: uplinks.clone(),
            },
        ),
        devices::DevicesApi,
        (
            device_history::DeviceHistoryApi,
            device_redecode::DeviceRedecodeApi {
                uplinks: uplinks.clone(),
            },
            device_state::DeviceStateApi {
                hub: hub(),
                uplinks: uplinks.clone(),
            },
            downlinks::DownlinksApi {
                hub: hub(),
                uplinks: uplinks.clone(),
            },
            downlink_settings::DownlinkSettingsApi { hub: hub() },
            device_driver_state::DeviceDriverStateApi,
        ),
        device_labels::DeviceLabelsApi,
        device_imports::DeviceImportsApi { hub: hub() },
        device_bulk::DeviceBulkApi,
        data_tables::DataTablesApi,
        (
            integrations::IntegrationsApi { hub: hub() },
            integration_health::IntegrationHealthApi { hub: hub() },
            deliveries::DeliveriesApi { hub: hub() },
            delivery_replays::DeliveryReplaysApi { hub: hub() },
            integration_stream::IntegrationStreamApi { hub: hub() },
        ),
        live::LiveApi { hub: hub() },
        users::UsersApi { hub: hub() },
        api_keys::ApiKeysApi,
        tenants::TenantsApi { hub: hub() },
        audit_log::AuditLogApi,
        health::HealthApi { hub: hub() },
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
    docs::routes(Route::new().nest_no_strip("/", service.into_endpoint()))
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
