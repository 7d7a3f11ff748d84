//! Errors that are specific to these operations.

use crate::{api::http::declared_error::DeclaredError, error::Reason};

/// Operations that need nothing but the integration.
const OF_INTEGRATION: &[&str] = &[
    "get_integration",
    "update_integration",
    "delete_integration",
    "create_integration_key",
    "get_integration_health",
    "pause_integration",
    "resume_integration",
    "test_integration",
    "list_deliveries",
    "resend_deliveries",
    "list_replays",
];

/// Operations that store the settings of an integration.
const WRITES: &[&str] = &["create_integration", "update_integration"];

/// Operations whose parameters are ids and perhaps those of a list.
const TAKES_ID: &[&str] = &[
    "get_integration",
    "delete_integration",
    "create_integration_key",
    "get_integration_health",
    "pause_integration",
    "resume_integration",
    "test_integration",
    "follow_integration",
    "get_delivery",
    "resend_delivery",
    "list_replays",
    "get_replay",
];

/// The errors, in the order of their resources.
pub const ERRORS: &[DeclaredError] = &[
    // Integrations
    DeclaredError {
        operations: OF_INTEGRATION,
        reason: Reason::NotFound,
        cause: "The tenant has no integration with this id.",
        message: "there is no integration \"7\"",
    },
    DeclaredError {
        operations: TAKES_ID,
        reason: Reason::Invalid,
        cause: "A parameter or header breaks the rule of its schema.",
        message: "id: must be an integer from 1 to 9007199254740991",
    },
    DeclaredError {
        operations: &["list_integrations"],
        reason: Reason::Invalid,
        cause: "A parameter breaks the rule of its schema, or `cursor` is none that this list has returned.",
        message: "sort: must be one of created_at, -created_at, name, -name, updated_at, -updated_at",
    },
    DeclaredError {
        operations: WRITES,
        reason: Reason::AlreadyExists,
        cause: "Another integration of the tenant has this name. Choose another name.",
        message: "name: another integration has this name already",
    },
    DeclaredError {
        operations: WRITES,
        reason: Reason::Invalid,
        cause: "A member breaks a rule of its schema, `selector` or `payload.template` cannot be parsed, or members \
                of `target` exclude each other or do not belong together, such as a certificate and its key. The \
                message names the place, and for a selector the column.",
        message: "target.authorization: cannot be combined with target.auth",
    },
    DeclaredError {
        operations: WRITES,
        reason: Reason::WrongState,
        cause: "The target has the type `file`, but the operator of the hub has not set `file_targets_dir`.",
        message: "target.type: file requires the operator's setting file_targets_dir",
    },
    DeclaredError {
        operations: &["create_integration"],
        reason: Reason::Required,
        cause: "A member that the schema requires is missing, or a secret that the target requires, such as a \
                password.",
        message: "target.auth.password: is required",
    },
    DeclaredError {
        operations: &["update_integration"],
        reason: Reason::Required,
        cause: "A member that the schema requires is missing, or a secret that the hub cannot keep: the type or the \
                address of the target has changed, none was stored, or the stored one does not open with the hub's \
                keys. Send the secret again.",
        message: "target.auth.password: is required: the address has changed",
    },
    DeclaredError {
        operations: &["create_integration_key"],
        reason: Reason::WrongState,
        cause: "The integration has no key, because its target is neither of the type `http` nor `websocket`, or its \
                type is being changed.",
        message: "an integration of the type kafka has no key",
    },
    DeclaredError {
        operations: &["create_integration_key"],
        reason: Reason::StaleRevision,
        cause: "The request has the header `If-Match`, and the integration has been changed since that version. Read \
                it again.",
        message: "header If-Match: it has been changed since; its ETag is \"8\" now",
    },
    // Test
    DeclaredError {
        operations: &["test_integration"],
        reason: Reason::WrongState,
        cause: "The target has the type `websocket`. The hub sends nothing by itself to such an integration.",
        message: "an integration of the type websocket cannot be tested: its followers fetch the messages",
    },
    DeclaredError {
        operations: &["test_integration"],
        reason: Reason::Overloaded,
        cause: "Four tests of the tenant, or 64 tests in all, are running, of integrations and network connections \
                together, or too many requests are running. Wait until one has ended.",
        message: "4 tests of this tenant are under way; wait for one to end",
    },
    // Stream
    DeclaredError {
        operations: &["follow_integration"],
        reason: Reason::Malformed,
        cause: "The request has the header `Upgrade`, but is no WebSocket handshake of version 13 over HTTP/1.1, or \
                it is no valid HTTP.",
        message: "the request is not a WebSocket handshake of version 13 over HTTP/1.1",
    },
    DeclaredError {
        operations: &["follow_integration"],
        reason: Reason::WrongState,
        cause: "The target does not have the type `websocket`.",
        message: "an integration of the type http cannot be followed",
    },
    DeclaredError {
        operations: &["follow_integration"],
        reason: Reason::Unauthenticated,
        cause: "The request has neither a valid token nor the valid key of this integration. The response to a key is \
                the same if the integration does not exist.",
        message: "a valid token is required: send it as \"Authorization: Bearer <token>\"",
    },
    DeclaredError {
        operations: &["follow_integration"],
        reason: Reason::NotFound,
        cause: "The tenant of the token has no integration with this id.",
        message: "there is no integration \"7\"",
    },
    DeclaredError {
        operations: &["follow_integration"],
        reason: Reason::Unavailable,
        cause: "The stored key of the integration does not open with the hub's keys, or the database cannot be used. \
                In the first case, create a new key, or use a token.",
        message: "a stored secret (stream_key) does not open with the keys of this hub: give it again, or put its key \
                  back",
    },
    DeclaredError {
        operations: &["follow_integration"],
        reason: Reason::Overloaded,
        cause: "The user, API key or integration key, the tenant or the hub has the maximum number of live streams, \
                or too many requests are running. Close a stream, or ask the operator to raise the setting in the \
                message.",
        message: "too many live streams of this user or key are open (setting live_streams_user_max)",
    },
    // Deliveries
    DeclaredError {
        operations: &["get_delivery", "resend_delivery"],
        reason: Reason::NotFound,
        cause: "The tenant has no such integration, or the integration has no such delivery, or no longer: the hub \
                deletes old deliveries.",
        message: "there is no delivery \"0199c0de-0000-7000-8000-000000000001\"",
    },
    DeclaredError {
        operations: &["resend_delivery"],
        reason: Reason::WrongState,
        cause: "The delivery is already queued or being sent. Wait until it has been delivered or given up.",
        message: "delivery 0199c0de-0000-7000-8000-000000000001 is already queued",
    },
    DeclaredError {
        operations: &["list_deliveries"],
        reason: Reason::Invalid,
        cause: "A parameter breaks the rule of its schema, `to` is before `from`, or `cursor` is none that this list \
                has returned.",
        message: "to: must not be before from",
    },
    DeclaredError {
        operations: &["resend_deliveries"],
        reason: Reason::Invalid,
        cause: "A member breaks the rule of its schema, or `to` is before `from`.",
        message: "to: must not be before from",
    },
    // Replays
    DeclaredError {
        operations: &["create_replay"],
        reason: Reason::NotFound,
        cause: "The tenant has no integration with this id, or no device with the id in the member `device_id`.",
        message: "there is no integration \"7\"",
    },
    DeclaredError {
        operations: &["create_replay"],
        reason: Reason::Invalid,
        cause: "A member breaks the rule of its schema, or `to` is before `from`.",
        message: "to: must not be before from",
    },
    DeclaredError {
        operations: &["create_replay"],
        reason: Reason::WrongState,
        cause: "The integration forwards no uplinks. Add `data` or `raw` to its `events` first.",
        message: "the integration forwards no uplinks: its events contain neither data nor raw",
    },
    DeclaredError {
        operations: &["create_replay"],
        reason: Reason::LimitReached,
        cause: "Five replays of the integration are running. Wait until one is done.",
        message: "5 replays go on already; try again when one is done",
    },
    DeclaredError {
        operations: &["get_replay"],
        reason: Reason::NotFound,
        cause: "The tenant has no such integration, or the integration has no replay with this id.",
        message: "there is no replay \"3\"",
    },
];
