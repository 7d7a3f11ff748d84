//! Tags, by which the document groups the operations.

use poem_openapi::Tags;

/// The groups of operations, in the order of a first visit.
#[derive(Tags)]
pub enum Tag {
    /// Sessions: log in, log out, and get the current session.
    #[oai(rename = "Log in")]
    Auth,
    /// Connections to the network servers that deliver the messages of devices.
    #[oai(rename = "Network connections")]
    NetworkConnections,
    /// JavaScript code that decodes uplinks and encodes downlinks, in versions with tags.
    Drivers,
    /// Devices, their state, messages and downlinks.
    Devices,
    /// Long-term storage of decoded data.
    #[oai(rename = "Data tables")]
    DataTables,
    /// Forwarding of messages and decoded data to other systems.
    Integrations,
    /// Live stream of events.
    Events,
    /// Users of a tenant, and your own account.
    Users,
    /// Permanent tokens for programs.
    #[oai(rename = "API keys")]
    ApiKeys,
    /// Tenants of the installation, for its operators.
    Tenants,
    /// Record of all changes, with the user or API key that made them.
    #[oai(rename = "Audit log")]
    AuditLog,
    /// Liveness and readiness of the hub.
    Health,
}
