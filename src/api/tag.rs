//! Tags, by which the document groups the operations.

use poem_openapi::Tags;

/// The groups of operations, in the order of a first visit.
#[derive(Tags)]
pub enum Tag {
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
