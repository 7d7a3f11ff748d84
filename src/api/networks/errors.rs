//! Errors that are specific to these operations.

use crate::{api::http::declared_error::DeclaredError, error::Reason};

/// Operations that need nothing but the network connection.
const OF_CONNECTION: &[&str] = &[
    "get_network_connection",
    "update_network_connection",
    "delete_network_connection",
    "create_ingest_key",
    "list_network_connection_events",
    "test_network_connection",
    "list_unknown_devices",
    "update_downlink_settings",
];

/// Operations that store the settings of a network connection.
const WRITES: &[&str] = &["create_network_connection", "update_network_connection"];

/// Operations whose parameters are the id of the network connection and perhaps those of a list.
const TAKES_ID: &[&str] = &[
    "get_network_connection",
    "delete_network_connection",
    "create_ingest_key",
    "test_network_connection",
    "list_unknown_devices",
    "get_downlink_settings",
    "delete_downlink_settings",
];

/// The errors, in the order of their resources.
pub const ERRORS: &[DeclaredError] = &[
    // Network connections
    DeclaredError {
        operations: OF_CONNECTION,
        reason: Reason::NotFound,
        cause: "The tenant has no network connection with this id.",
        message: "there is no network connection \"7\"",
    },
    DeclaredError {
        operations: TAKES_ID,
        reason: Reason::Invalid,
        cause: "A parameter or header breaks the rule of its schema.",
        message: "id: must be an integer from 1 to 9007199254740991",
    },
    DeclaredError {
        operations: &["list_network_connections"],
        reason: Reason::Invalid,
        cause: "A parameter breaks the rule of its schema, or `cursor` is none that this list has returned.",
        message: "sort: must be one of created_at, -created_at, name, -name, updated_at, -updated_at",
    },
    DeclaredError {
        operations: WRITES,
        reason: Reason::AlreadyExists,
        cause: "Another network connection of the tenant has this name. Choose another name.",
        message: "name: another network connection has this name already",
    },
    DeclaredError {
        operations: WRITES,
        reason: Reason::UnknownReference,
        cause: "The driver in `auto_provisioning` does not exist. Create it, or name another one.",
        message: "auto_provisioning.driver: there is no driver milesight/am102:1.0",
    },
    DeclaredError {
        operations: WRITES,
        reason: Reason::Invalid,
        cause: "A member breaks a rule of its schema, the settings of the network server or its broker do not belong \
                together, or a pattern or template in `auto_provisioning` cannot be used.",
        message: "auto_provisioning.id_template: {eui} is unknown; there are {network_device_id}, {network_name}, \
                  {application}",
    },
    DeclaredError {
        operations: &["create_network_connection"],
        reason: Reason::Required,
        cause: "A member that the schema requires is missing, or a secret that the broker requires.",
        message: "settings.broker.client_key: is required",
    },
    DeclaredError {
        operations: &["update_network_connection"],
        reason: Reason::Required,
        cause: "A member that the schema requires is missing, or a secret that the hub cannot keep: the type of the \
                network connection or the address of the broker has changed, none was stored, or the stored one does \
                not open with the hub's keys. Send the secret again.",
        message: "settings.broker.password: is required: the address has changed",
    },
    DeclaredError {
        operations: &["create_ingest_key"],
        reason: Reason::StaleRevision,
        cause: "The request has the header `If-Match`, and the network connection has been changed since that \
                version. Read it again.",
        message: "header If-Match: it has been changed since; its ETag is \"8\" now",
    },
    DeclaredError {
        operations: &["delete_network_connection"],
        reason: Reason::InUse,
        cause: "Devices have addresses at the network connection. Remove these addresses, or the devices, first.",
        message: "network connection 7 is in use by 12 device(s): remove it from their connectivity first",
    },
    DeclaredError {
        operations: &["list_network_connection_events"],
        reason: Reason::Invalid,
        cause: "A parameter breaks the rule of its schema, `to` is before `from`, or `cursor` is none that this list \
                has returned.",
        message: "to: must not be before from",
    },
    DeclaredError {
        operations: &["test_network_connection"],
        reason: Reason::Overloaded,
        cause: "Four tests of the tenant, or 64 tests in all, are running, of integrations and network connections \
                together, or too many requests are running. Wait until one has ended.",
        message: "4 tests of this tenant are under way; wait for one to end",
    },
    // Uplinks
    DeclaredError {
        operations: &["create_uplink"],
        reason: Reason::Malformed,
        cause: "The body is no valid JSON in UTF-8, or no valid compressed data.",
        message: "body: is not valid JSON: EOF while parsing a value at line 1 column 0",
    },
    DeclaredError {
        operations: &["create_uplink"],
        reason: Reason::UnsupportedMediaType,
        cause: "`Content-Type` is no JSON and no text, its charset is not UTF-8, or `Content-Encoding` is neither \
                `gzip` nor `deflate`. A request without `Content-Type` is accepted.",
        message: "header Content-Type: must be application/json, application/*+json or text/*, or be absent",
    },
    DeclaredError {
        operations: &["create_uplink"],
        reason: Reason::Required,
        cause: "The message lacks a member that messages of this network server have, or that the mapping of the \
                network connection names, or the signature that the connection's AS key requires. Check that the \
                network connection has the type of the network server.",
        message: "deviceInfo.devEui: is required: devices are identified by their DevEUI",
    },
    DeclaredError {
        operations: &["create_uplink"],
        reason: Reason::Invalid,
        cause: "The body is neither an object nor a list of objects, or a member does not have the form that messages \
                of this network server have, or the signature is wrong. In a list, the valid messages are recorded.",
        message: "body: must be a JSON object, or a list of objects",
    },
    DeclaredError {
        operations: &["create_uplink"],
        reason: Reason::Unavailable,
        cause: "The stored AS key of the network connection does not open with the hub's keys, or the database cannot \
                be used. The message is not recorded, so the network server should send it again.",
        message: "a stored secret (as_key) does not open with the keys of this hub: give it again, or put its key back",
    },
    DeclaredError {
        operations: &["create_uplink"],
        reason: Reason::Overloaded,
        cause: "Too many uplinks are waiting to be decoded or written, or the device is being changed over and over. \
                The message is not recorded, so the network server should send it again.",
        message: "too many uplinks are waiting to be written",
    },
    // Unknown devices
    DeclaredError {
        operations: &["adopt_unknown_device"],
        reason: Reason::NotFound,
        cause: "The tenant has no such network connection, or the connection has received nothing from such an \
                unknown device, or a device has this address meanwhile.",
        message: "there is no unknown device \"24E124538C194528\"",
    },
    DeclaredError {
        operations: &["adopt_unknown_device"],
        reason: Reason::AlreadyExists,
        cause: "Another device has this id or name, or has just been given this address.",
        message: "id: there is a device \"am102\" already",
    },
    DeclaredError {
        operations: &["adopt_unknown_device"],
        reason: Reason::UnknownReference,
        cause: "The driver does not exist, or the network connection has just been deleted.",
        message: "driver: there is no driver milesight/am102:1.0",
    },
    DeclaredError {
        operations: &["adopt_unknown_device"],
        reason: Reason::Invalid,
        cause: "A parameter or member breaks the rule of its schema, or the id is the name of a path of the API.",
        message: "id: must not be import, export or bulk, which are paths of the API",
    },
    // Downlink settings
    DeclaredError {
        operations: &["get_downlink_settings", "delete_downlink_settings"],
        reason: Reason::NotFound,
        cause: "The tenant has no network connection with this id, or the connection has no downlink settings.",
        message: "network connection 7 has no downlink settings",
    },
    DeclaredError {
        operations: &["update_downlink_settings"],
        reason: Reason::Invalid,
        cause: "A member breaks a rule of its schema, a template has an unknown placeholder, or the settings do not \
                fit the network connection: the type `mqtt` requires a connection with a broker, and `tls` a URL that \
                starts with `https://`.",
        message: "settings.type: mqtt requires a network connection with a broker",
    },
    DeclaredError {
        operations: &["update_downlink_settings"],
        reason: Reason::Required,
        cause: "A member that the schema requires is missing, or a secret that the hub cannot keep: the type of the \
                settings or the address of the network server has changed, none was stored, or the stored one does \
                not open with the hub's keys. Send the secret again.",
        message: "settings.api_key: is required: the address has changed",
    },
];
