//! Permissions: one table of all operations. An operation that is not in it is forbidden for everybody.

use super::caller::{Caller, Identity};
use crate::{
    error::{Error, Result},
    store::access::authority::{ADMINISTRATORS_ONLY, OPERATORS_ONLY},
};

/// The role of a user in its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May do everything in the tenant, including users and keys.
    Admin,
    /// May read and provision.
    Editor,
    /// May read.
    Viewer,
}

impl Role {
    /// Parses the stored role; an unknown one may only read.
    pub fn parse(text: &str) -> Self {
        match text {
            "admin" => Role::Admin,
            "editor" => Role::Editor,
            _ => Role::Viewer,
        }
    }
}

/// The kind of resource that an operation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    NetworkConnections,
    Drivers,
    Devices,
    DataTables,
    Integrations,
    /// The caller's own session and account.
    Self_,
    /// Users, API keys and the audit log.
    Administration,
    /// The installation's tenants.
    Installation,
}

/// The kind of access that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

use Access::{Read, Write};
use Resource::{
    Administration, DataTables, Devices, Drivers, Installation, Integrations, NetworkConnections,
    Self_,
};

/// Every operation that needs a token, by its `operationId`.
pub const OPERATIONS: &[(&str, Resource, Access)] = &[
    ("get_token", Self_, Read),
    ("delete_token", Self_, Write),
    ("get_own_user", Self_, Read),
    ("update_own_user", Self_, Write),
    ("change_own_password", Self_, Write),
    ("follow_events", Devices, Read),
    ("create_stream_key", Devices, Read),
    ("list_network_connections", NetworkConnections, Read),
    ("get_network_connection", NetworkConnections, Read),
    ("list_network_connection_events", NetworkConnections, Read),
    ("get_downlink_settings", NetworkConnections, Read),
    ("update_downlink_settings", NetworkConnections, Write),
    ("delete_downlink_settings", NetworkConnections, Write),
    ("list_unknown_devices", NetworkConnections, Read),
    ("test_network_connection", NetworkConnections, Write),
    ("create_network_connection", NetworkConnections, Write),
    ("update_network_connection", NetworkConnections, Write),
    ("delete_network_connection", NetworkConnections, Write),
    ("create_ingest_key", NetworkConnections, Write),
    ("list_drivers", Drivers, Read),
    ("get_driver", Drivers, Read),
    ("get_driver_tag", Drivers, Read),
    ("list_driver_tag_moves", Drivers, Read),
    ("list_driver_versions", Drivers, Read),
    ("get_driver_version", Drivers, Read),
    ("list_driver_usage", Drivers, Read),
    ("export_driver", Drivers, Read),
    ("create_driver", Drivers, Write),
    ("try_driver", Drivers, Write),
    ("import_driver", Drivers, Write),
    ("update_driver", Drivers, Write),
    ("delete_driver", Drivers, Write),
    ("update_driver_tag", Drivers, Write),
    ("delete_driver_tag", Drivers, Write),
    ("delete_driver_version", Drivers, Write),
    ("list_devices", Devices, Read),
    ("get_device", Devices, Read),
    ("list_device_uplinks", Devices, Read),
    ("aggregate_device_uplinks", Devices, Read),
    ("get_device_chart", Devices, Read),
    ("list_device_events", Devices, Read),
    ("get_device_state", Devices, Read),
    ("list_downlinks", Devices, Read),
    ("get_downlink", Devices, Read),
    ("list_device_labels", Devices, Read),
    ("get_driver_state", Devices, Read),
    ("list_device_imports", Devices, Read),
    ("get_device_import", Devices, Read),
    ("list_device_import_rows", Devices, Read),
    ("export_devices", Devices, Read),
    ("create_device", Devices, Write),
    ("adopt_unknown_device", Devices, Write),
    ("update_device", Devices, Write),
    ("delete_device", Devices, Write),
    ("create_device_import", Devices, Write),
    ("create_device_bulk_change", Devices, Write),
    ("redecode_device_uplinks", Devices, Write),
    ("update_device_state", Devices, Write),
    ("create_downlink", Devices, Write),
    ("delete_downlink", Devices, Write),
    ("delete_driver_state", Devices, Write),
    ("create_device_labels", Devices, Write),
    ("delete_device_label", Devices, Write),
    ("list_data_tables", DataTables, Read),
    ("get_data_table", DataTables, Read),
    ("list_rows", DataTables, Read),
    ("aggregate_rows", DataTables, Read),
    ("list_latest_values", DataTables, Read),
    ("get_data_table_chart", DataTables, Read),
    ("export_rows", DataTables, Read),
    ("export_rows_ndjson", DataTables, Read),
    ("export_rows_parquet", DataTables, Read),
    ("list_fills", DataTables, Read),
    ("get_fill", DataTables, Read),
    ("list_row_imports", DataTables, Read),
    ("get_row_import", DataTables, Read),
    ("list_failed_rows", DataTables, Read),
    ("create_data_table", DataTables, Write),
    ("update_data_table", DataTables, Write),
    ("delete_data_table", DataTables, Write),
    ("delete_rows", DataTables, Write),
    ("create_fill", DataTables, Write),
    ("create_row_import", DataTables, Write),
    ("list_integrations", Integrations, Read),
    ("get_integration", Integrations, Read),
    ("get_integration_health", Integrations, Read),
    ("list_deliveries", Integrations, Read),
    ("get_delivery", Integrations, Read),
    ("list_replays", Integrations, Read),
    ("get_replay", Integrations, Read),
    ("list_scheduled_exports", Integrations, Read),
    ("get_scheduled_export", Integrations, Read),
    ("list_export_runs", Integrations, Read),
    ("get_export_run", Integrations, Read),
    ("create_scheduled_export", Integrations, Write),
    ("update_scheduled_export", Integrations, Write),
    ("delete_scheduled_export", Integrations, Write),
    ("create_export_run", Integrations, Write),
    ("test_scheduled_export", Integrations, Write),
    ("create_integration", Integrations, Write),
    ("update_integration", Integrations, Write),
    ("delete_integration", Integrations, Write),
    ("pause_integration", Integrations, Write),
    ("resume_integration", Integrations, Write),
    ("test_integration", Integrations, Write),
    ("resend_deliveries", Integrations, Write),
    ("resend_delivery", Integrations, Write),
    ("create_replay", Integrations, Write),
    ("create_integration_key", Integrations, Write),
    ("follow_integration", Integrations, Read),
    ("list_users", Administration, Read),
    ("get_user", Administration, Read),
    ("create_user", Administration, Write),
    ("update_user", Administration, Write),
    ("delete_user", Administration, Write),
    ("list_api_keys", Administration, Read),
    ("get_api_key", Administration, Read),
    ("create_api_key", Administration, Write),
    ("delete_api_key", Administration, Write),
    ("list_audit_log", Administration, Read),
    ("get_metrics", Installation, Read),
    ("list_tenants", Installation, Read),
    ("get_tenant", Installation, Read),
    ("create_tenant", Installation, Write),
    ("update_tenant", Installation, Write),
    ("delete_tenant", Installation, Write),
];

/// The scopes that an API key may have. `read` and `write` apply to all five kinds of provisioned resources;
/// write access includes read access.
pub const KEY_SCOPES: &[(&str, Option<Resource>, Access)] = &[
    ("read", None, Read),
    ("write", None, Write),
    ("network_connections:read", Some(NetworkConnections), Read),
    ("network_connections:write", Some(NetworkConnections), Write),
    ("drivers:read", Some(Drivers), Read),
    ("drivers:write", Some(Drivers), Write),
    ("devices:read", Some(Devices), Read),
    ("devices:write", Some(Devices), Write),
    ("data_tables:read", Some(DataTables), Read),
    ("data_tables:write", Some(DataTables), Write),
    ("integrations:read", Some(Integrations), Read),
    ("integrations:write", Some(Integrations), Write),
];

/// Checks that the caller may run the operation.
pub fn check(caller: &Caller, operation: &str) -> Result<()> {
    let known = OPERATIONS.iter().find(|(id, _, _)| *id == operation);
    let Some((_, resource, access)) = known else {
        return Err(Error::Forbidden("nobody may do this".to_owned()));
    };
    match &caller.identity {
        Identity::User { user, .. } => {
            let role = Role::parse(&user.profile.role);
            user_may(role, user.is_operator, *resource, *access)
        }
        Identity::Key(key) => key_may(&key.made.scopes, *resource, *access),
    }
}

fn user_may(role: Role, is_operator: bool, resource: Resource, access: Access) -> Result<()> {
    let refused = match (resource, access) {
        (Self_, _) => None,
        (Installation, _) => (!is_operator).then_some(OPERATORS_ONLY),
        (Administration, _) => (role != Role::Admin).then_some(ADMINISTRATORS_ONLY),
        (_, Read) => None,
        (_, Write) => (role == Role::Viewer).then_some("your role may only read"),
    };
    refused.map_or(Ok(()), |text| Err(Error::Forbidden(text.to_owned())))
}

/// API keys may not administer: a leaked key must not be able to create others.
fn key_may(scopes: &[String], resource: Resource, access: Access) -> Result<()> {
    if matches!(resource, Self_ | Administration | Installation) {
        return Err(Error::Forbidden("an API key may not do this".to_owned()));
    }
    let allows = |(name, about, allowed): &(&str, Option<Resource>, Access)| {
        scopes.iter().any(|scope| scope == name)
            && about.is_none_or(|about| about == resource)
            && (*allowed == access || *allowed == Write)
    };
    if KEY_SCOPES.iter().any(allows) {
        Ok(())
    } else {
        Err(Error::Forbidden(
            "the API key's scopes do not include this".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Resource; 8] = [
        NetworkConnections,
        Drivers,
        Devices,
        DataTables,
        Integrations,
        Self_,
        Administration,
        Installation,
    ];

    fn is_provisioned(resource: Resource) -> bool {
        !matches!(resource, Self_ | Administration | Installation)
    }

    #[test]
    fn roles_allow_what_the_documentation_says() {
        for role in [Role::Admin, Role::Editor, Role::Viewer] {
            for is_operator in [false, true] {
                for resource in KINDS {
                    for access in [Read, Write] {
                        let expected = match resource {
                            Self_ => true,
                            Installation => is_operator,
                            Administration => role == Role::Admin,
                            _ => access == Read || role != Role::Viewer,
                        };
                        let allowed = user_may(role, is_operator, resource, access).is_ok();
                        let case = format!("{role:?} {is_operator} {resource:?} {access:?}");
                        assert_eq!(allowed, expected, "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn stored_roles_are_read_and_unknown_ones_may_only_read() {
        assert_eq!(Role::parse("admin"), Role::Admin);
        assert_eq!(Role::parse("editor"), Role::Editor);
        for text in ["viewer", "", "Admin", "owner"] {
            assert_eq!(Role::parse(text), Role::Viewer, "{text}");
        }
    }

    #[test]
    fn each_scope_of_a_key_allows_its_resource_and_nothing_else() {
        for (scope, about, allowed) in KEY_SCOPES {
            for resource in KINDS {
                for access in [Read, Write] {
                    let expected = is_provisioned(resource)
                        && about.is_none_or(|about| about == resource)
                        && (access == Read || *allowed == Write);
                    let scopes = [(*scope).to_owned()];
                    let found = key_may(&scopes, resource, access).is_ok();
                    assert_eq!(found, expected, "{scope} {resource:?} {access:?}");
                }
            }
        }
        assert!(key_may(&[], Devices, Read).is_err());
    }
}
