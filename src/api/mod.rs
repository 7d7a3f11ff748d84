//! Everything HTTP: typed endpoints, the shared behaviour around them, and the document they make.
//!
//! | file | what it is |
//! |---|---|
//! | `edge.rs`, `listener.rs` | the outermost layer, and the port below it |
//! | `operation.rs`, `failure.rs` | what every operation shares: its declaration, its errors |
//! | `types.rs`, `body.rs`, `strict.rs`, `upload.rs`, `answer.rs`, `page.rs` | what goes in and out |
//! | `spec/` | the steps from the raw document to the published one |
//! | `docs.rs` | the document and its pages: Swagger UI and Redoc |
//! | the rest | one file per resource |

mod answer;
mod auth;
mod body;
mod data_tables;
mod devices;
mod docs;
mod drivers;
mod edge;
mod events;
mod failure;
mod health;
mod integrations;
pub mod listener;
mod network_connections;
mod operation;
mod page;
pub mod spec;
mod strict;
mod types;
mod upload;

use std::time::Duration;

use poem::{Endpoint, EndpointExt, IntoEndpoint, Route};
use poem_openapi::{OpenApiService, Tags};

use self::{body::BodyBounds, edge::Edge, operation::Operations, spec::Documents};
use crate::{hub::Hub, uplink::UplinkPath};

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
    /// Whether the hub lives and can work.
    Health,
}

/// All operations.
type AllOperations = (
    auth::AuthApi,
    network_connections::NetworkConnectionsApi,
    drivers::DriversApi,
    devices::DevicesApi,
    data_tables::DataTablesApi,
    integrations::IntegrationsApi,
    health::HealthApi,
);

fn operations(hub: &Hub, uplinks: &UplinkPath) -> Operations<AllOperations> {
    let hub = || hub.clone();
    Operations((
        auth::AuthApi { hub: hub() },
        network_connections::NetworkConnectionsApi {
            hub: hub(),
            uplinks: uplinks.clone(),
        },
        drivers::DriversApi { hub: hub() },
        devices::DevicesApi,
        data_tables::DataTablesApi,
        integrations::IntegrationsApi { hub: hub() },
        health::HealthApi { hub: hub() },
    ))
}

/// The API as the server runs it.
pub fn endpoint(hub: Hub, uplinks: &UplinkPath) -> impl Endpoint + 'static {
    let config = hub.config.clone();
    let timeout = Duration::from_secs(config.request_timeout_s);
    let service = OpenApiService::new(operations(&hub, uplinks), "", "");
    let documents = Documents::new(config.public_url.as_deref());
    docs::routes(Route::new().nest_no_strip("/", service.into_endpoint()))
        .data(documents)
        .data(hub)
        .data(BodyBounds {
            max_bytes: config.body_max_bytes,
            timeout: timeout / 2,
        })
        .with(Edge {
            timeout,
            trusted_proxies: config.trusted_proxies.clone(),
        })
}
