//! Errors that are specific to these operations.

use crate::{api::http::declared_error::DeclaredError, error::Reason};

/// Operations that run the driver of a device or another one.
const WITH_DRIVER: &[&str] = &[
    "update_device_state",
    "create_downlink",
    "redecode_device_uplinks",
];

/// The errors, in the order of their resources.
pub const ERRORS: &[DeclaredError] = &[
    // Devices.
    DeclaredError {
        operations: &["create_device"],
        reason: Reason::AlreadyExists,
        cause: "Another device of the tenant has this `id`, this `name`, or one of the addresses. `X-Error-Field` \
                names the member.",
        message: "id: there is a device \"am102\" already",
    },
    DeclaredError {
        operations: &["update_device"],
        reason: Reason::AlreadyExists,
        cause: "Another device of the tenant has this `name` or one of the addresses. `X-Error-Field` names the \
                member.",
        message: "connectivity.connections.network_device_id: another device has one of these addresses already",
    },
    DeclaredError {
        operations: &["create_device", "update_device"],
        reason: Reason::UnknownReference,
        cause: "`driver` does not name a driver with such a tag or version. Create it first, or omit the member.",
        message: "driver: there is no driver milesight/am102:1.0",
    },
    DeclaredError {
        operations: &["create_device", "update_device"],
        reason: Reason::UnknownReference,
        cause: "A `network_connection_id` does not name a network connection of the tenant, or the network connection \
                has been deleted at this moment.",
        message: "connectivity.connections[0].network_connection_id: there is no network connection 3",
    },
    DeclaredError {
        operations: &["create_device", "update_device"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule. An address has the form that the type of its network connection \
                requires, such as a DevEUI; labels are different from each other and at most 64; an `id` is not \
                `import`, `export` or `bulk`.",
        message: "connectivity.connections[0].network_device_id: must be a DevEUI of 16 hexadecimal digits for this \
                  type of network server",
    },
    DeclaredError {
        operations: &["list_devices", "export_devices"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule. `selector` is a label selector: the message names the column at \
                which it cannot be read. In lists, `cursor` belongs to the same filter and order.",
        message: "selector: at column 13: expected a label, found the end",
    },
    DeclaredError {
        operations: &[
            "get_device",
            "update_device",
            "delete_device",
            "list_device_uplinks",
            "aggregate_device_uplinks",
            "get_device_chart",
            "list_device_events",
            "get_device_state",
            "update_device_state",
            "list_device_labels",
            "create_device_labels",
            "get_driver_state",
            "delete_driver_state",
            "list_downlinks",
            "create_downlink",
            "redecode_device_uplinks",
        ],
        reason: Reason::NotFound,
        cause: "Your tenant has no device with this id. Upper and lower case differ.",
        message: "there is no device \"am102\"",
    },
    // Bulk changes.
    DeclaredError {
        operations: &["create_device_bulk_change"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule: `selector` is a label selector that is not blank, and \
                `action.labels` has 1 to 64 different labels.",
        message: "selector: must not be empty, because an empty selector matches every device",
    },
    DeclaredError {
        operations: &["create_device_bulk_change"],
        reason: Reason::LimitReached,
        cause: "The action would give one of the devices more than 64 labels. If the message comes at once, no device \
                is changed; if labels are added elsewhere at the same time, some devices may have been changed.",
        message: "action.labels: a device has at most 64 labels, and \"am102\" would have more",
    },
    // Imports.
    DeclaredError {
        operations: &["create_device_import"],
        reason: Reason::Malformed,
        cause: "The body is no text file whose encoding can be determined: it is a workbook of a spreadsheet, \
                compressed, or has bytes that are not valid in its encoding. Save it as CSV in UTF-8, or name the \
                encoding as `charset` in `Content-Type`.",
        message: "body: must be a text file, but is an Excel or OpenDocument workbook: save the file as \"CSV UTF-8\" \
                  and send that",
    },
    DeclaredError {
        operations: &["create_device_import"],
        reason: Reason::Malformed,
        cause: "The body is no complete `multipart/form-data`, or the header `Content-Type` does not name its \
                boundary.",
        message: "body: must be a whole multipart form",
    },
    DeclaredError {
        operations: &["create_device_import"],
        reason: Reason::UnsupportedMediaType,
        cause: "The header `Content-Type`, or that of the file in a form, is not one of a CSV or NDJSON file, names \
                an unknown `charset`, or says `header=absent`.",
        message: "header Content-Type: must be application/octet-stream, text/csv, application/x-ndjson or \
                  multipart/form-data",
    },
    DeclaredError {
        operations: &["create_device_import"],
        reason: Reason::TooLarge,
        cause: "The file has more than 64 MiB (setting `import_max_bytes`) or more than 1,000,000 rows. Split it.",
        message: "body: must have at most 67108864 bytes",
    },
    DeclaredError {
        operations: &["create_device_import"],
        reason: Reason::Invalid,
        cause: "The file as a whole cannot be used, and nothing is imported: the header line of a CSV file has an \
                unknown or repeated column, the file has no rows, a form has no file, several or other parts, or \
                `format` contradicts the content type. A row that breaks a rule is no error of this operation: it \
                fails alone.",
        message: "header line: column \"colour\" is unknown. Known columns: id, name, description, driver, labels, \
                  network_connection_id, network_device_id, metadata",
    },
    DeclaredError {
        operations: &["create_device_import"],
        reason: Reason::LimitReached,
        cause: "10 imports of the tenant are not finished. Wait until one of them is `done`.",
        message: "10 imports are waiting already; try again when one is done",
    },
    DeclaredError {
        operations: &["create_device_import"],
        reason: Reason::Overloaded,
        cause: "Other files are being received or stored: at most one of a user or API key, two of a tenant and four \
                of the hub at a time. Send one file after the other.",
        message: "another file of this user or API key is being received; try again",
    },
    DeclaredError {
        operations: &["get_device_import", "list_device_import_rows"],
        reason: Reason::NotFound,
        cause: "Your tenant has no import with this id. Imports are removed `job_keep_days` (30 days) after their end.",
        message: "there is no import \"7\"",
    },
    DeclaredError {
        operations: &[
            "list_device_imports",
            "list_device_import_rows",
            "list_downlinks",
        ],
        reason: Reason::Invalid,
        cause: "A parameter breaks its rule, or `cursor` belongs to a list with another filter or order.",
        message: "cursor: must be a next_cursor that this list has answered",
    },
    DeclaredError {
        operations: &["aggregate_device_uplinks", "get_device_chart"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, `to` is before `from`, the period has more uplinks than one request \
                reads, or the answer would have more than 10,000 items, or the chart more than 12 lines. The message names the parameter and the limit.",
        message: "timezone: must be the name of a time zone in the IANA database, such as Europe/Berlin",
    },
    // Labels.
    DeclaredError {
        operations: &["create_device_labels"],
        reason: Reason::Required,
        cause: "Neither the body nor the query has `labels`.",
        message: "labels: is required, in the body or in the query",
    },
    DeclaredError {
        operations: &["create_device_labels"],
        reason: Reason::Invalid,
        cause: "`labels` has more than 16 labels, or one that is no label: 1 to 120 letters and digits of any script, \
                `-`, `_`, `.`, `:`, `=`, `/` and inner spaces.",
        message: "labels: must have at most 16 labels",
    },
    DeclaredError {
        operations: &["create_device_labels"],
        reason: Reason::LimitReached,
        cause: "The device would have more than 64 labels. Remove others first.",
        message: "labels: a device has at most 64 labels",
    },
    DeclaredError {
        operations: &["delete_device_label"],
        reason: Reason::NotFound,
        cause: "Your tenant has no device with this id, or the device does not have this label.",
        message: "there is no label \"indoor\"",
    },
    DeclaredError {
        operations: &[
            "create_device_labels",
            "delete_device_label",
            "create_downlink",
            "delete_downlink",
        ],
        reason: Reason::StaleRevision,
        cause: "The request has a header `If-Match`, and the device has been changed since that version. Read the \
                device again, or omit the header.",
        message: "header If-Match: it has been changed since; its ETag is \"8\" now",
    },
    // Messages of devices.
    DeclaredError {
        operations: &["list_device_uplinks", "list_device_events"],
        reason: Reason::Invalid,
        cause: "A parameter breaks its rule, `to` is before `from`, or `cursor` belongs to a list with another filter \
                or order.",
        message: "to: must not be before from",
    },
    DeclaredError {
        operations: &["redecode_device_uplinks"],
        reason: Reason::Required,
        cause: "The device has no driver, and `driver` is missing. Name the driver that decodes.",
        message: "driver: must be given: the device has no driver",
    },
    DeclaredError {
        operations: &["redecode_device_uplinks"],
        reason: Reason::Invalid,
        cause: "A parameter breaks its rule, `to` is before `from`, or `cursor` belongs to a request with other \
                parameters: only `limit` may change from page to page.",
        message: "cursor: must be a next_cursor that this list has answered",
    },
    DeclaredError {
        operations: &["redecode_device_uplinks"],
        reason: Reason::UnknownReference,
        cause: "`driver`, or the driver of the device, does not exist with such a tag or version.",
        message: "driver: there is no driver milesight/am102:1.0",
    },
    DeclaredError {
        operations: &["redecode_device_uplinks"],
        reason: Reason::WrongState,
        cause: "With `dry_run=false`, `cursor` does not follow the last page that was written with this version of \
                the driver: another request has written since, or the tag points at another version. Begin again \
                without `cursor`.",
        message: "cursor: the stretch before is not the last that was written with this version of the driver; begin \
                  again without cursor",
    },
    DeclaredError {
        operations: &["redecode_device_uplinks"],
        reason: Reason::Overloaded,
        cause: "A data table that stores the device's data is being deleted. Nothing of this page was written: repeat \
                the request.",
        message: "a data table is being deleted; try again",
    },
    DeclaredError {
        operations: &["export_devices"],
        reason: Reason::Overloaded,
        cause: "Other exports are running: at most 16 of a tenant and 32 of the hub at a time. Wait for one to end.",
        message: "too many exports of this tenant at a time; try again",
    },
    // State.
    DeclaredError {
        operations: &["update_device_state"],
        reason: Reason::Invalid,
        cause: "The driver's schema does not list a property, or not as `configurable`, a value is not of the \
                property's type, or the driver's encoder rejects the values. Nothing is changed.",
        message: "desired.firmware: cannot be set: the driver's schema does not say that it is configurable",
    },
    // Downlinks.
    DeclaredError {
        operations: &["create_downlink"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule: exactly one of `payload_hex`, `payload_base64` and `values` is \
                given, a payload has at least one byte and a length that the network accepts, and `expires_at` is in \
                the future and not combined with `expires_in_s`. Or the driver's encoder rejects the values or fails.",
        message: "payload_hex: exactly one of payload_hex, payload_base64 and values must be given",
    },
    DeclaredError {
        operations: &["create_downlink"],
        reason: Reason::UnknownReference,
        cause: "`network_connection_id` names a network connection in which the device has no address.",
        message: "network_connection_id: the device has no address in network connection 3",
    },
    DeclaredError {
        operations: &["create_downlink"],
        reason: Reason::WrongState,
        cause: "`values` cannot be encoded: the device has no driver, its driver does not exist, or the driver has no \
                encoder. Send a payload, or give the device a driver with an encoder.",
        message: "values: cannot be encoded: the device has no driver",
    },
    DeclaredError {
        operations: &["create_downlink"],
        reason: Reason::WrongState,
        cause: "The device has no address in any network, or the network connection that reaches it has no downlink \
                settings. Set those first.",
        message: "network_connection_id: network connection 3 sends no downlinks: set its downlink-settings",
    },
    DeclaredError {
        operations: &["create_downlink", "update_device_state"],
        reason: Reason::LimitReached,
        cause: "As many downlinks of the device are queued as may be (setting `downlink_queue_max`, 100 by default). \
                Wait until some are sent, or cancel some.",
        message: "the device's queue is full: 100 downlinks wait, and at most 100 may (setting downlink_queue_max)",
    },
    DeclaredError {
        operations: &["create_downlink", "update_device_state"],
        reason: Reason::Overloaded,
        cause: "The device or its network connection was changed again and again while the downlink was prepared. \
                Repeat the request.",
        message: "the device or its network connection is being changed; try again",
    },
    DeclaredError {
        operations: WITH_DRIVER,
        reason: Reason::Overloaded,
        cause: "As many calls of drivers as may are waiting, of your tenant or in all. Repeat the request after \
                `Retry-After` seconds.",
        message: "too many drivers are waiting to run",
    },
    DeclaredError {
        operations: WITH_DRIVER,
        reason: Reason::Unavailable,
        cause: "The hub cannot start a process that runs drivers, or the database cannot be used now. Repeat the \
                request after `Retry-After` seconds.",
        message: "no driver worker can be started now",
    },
    DeclaredError {
        operations: &["get_downlink", "delete_downlink"],
        reason: Reason::NotFound,
        cause: "Your tenant has no device with this id, or the device has no downlink with this id.",
        message: "there is no downlink \"0190a5c2-7d1e-7c3a-9b1f-2f6f0c1d4e5a\"",
    },
    DeclaredError {
        operations: &["delete_downlink"],
        reason: Reason::WrongState,
        cause: "The downlink is no longer queued, or is being sent at this moment. Only queued downlinks can be \
                cancelled.",
        message: "only a queued downlink can be taken back, and this one is sent",
    },
];
