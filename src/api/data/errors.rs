//! Errors that are specific to these operations.

use crate::{api::http::declared_error::DeclaredError, error::Reason};

/// The errors, in the order of their resources.
pub const ERRORS: &[DeclaredError] = &[
    // Data tables.
    DeclaredError {
        operations: &["create_data_table", "update_data_table"],
        reason: Reason::AlreadyExists,
        cause: "Another data table of the tenant has this name. Choose another name.",
        message: "name: another data table has this name already",
    },
    DeclaredError {
        operations: &["create_data_table", "update_data_table"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule: `selector` is a label selector of at most 256 conditions, and \
                `columns` has 1 to 256 columns with different paths. The message names the column of the selector at \
                which it cannot be read.",
        message: "selector: at column 13: expected a label, found the end",
    },
    DeclaredError {
        operations: &["list_data_tables"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, or `cursor` belongs to a list with another filter or order.",
        message: "cursor: must be a next_cursor that this list has answered",
    },
    DeclaredError {
        operations: &[
            "get_data_table",
            "update_data_table",
            "delete_data_table",
            "list_rows",
            "export_rows",
            "export_rows_ndjson",
            "export_rows_parquet",
            "delete_rows",
            "create_fill",
            "list_fills",
        ],
        reason: Reason::NotFound,
        cause: "Your tenant has no data table with this id.",
        message: "there is no data table \"3\"",
    },
    // Rows.
    DeclaredError {
        operations: &[
            "list_rows",
            "export_rows",
            "export_rows_ndjson",
            "export_rows_parquet",
        ],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, `to` is before `from`, `filter` names a column that the data table \
                does not have or compares it with a value of another type, or `cursor` belongs to other filters, \
                another table or another format. A `device_id` that no device has is no error: the result has no \
                rows.",
        message: "filter: temperature: must be compared with a number",
    },
    DeclaredError {
        operations: &["delete_rows"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, or `to` is before `from`. A `device_id` that no device has is no \
                error: rows outlive the device.",
        message: "to: must not be before from",
    },
    // Fills.
    DeclaredError {
        operations: &["create_fill"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule, or `to` is before `from`.",
        message: "to: must not be before from",
    },
    DeclaredError {
        operations: &["create_fill"],
        reason: Reason::LimitReached,
        cause: "5 fills of the data table are running. Wait until one of them is done.",
        message: "5 fills are running already; try again when one is done",
    },
    DeclaredError {
        operations: &["create_fill"],
        reason: Reason::NotFound,
        cause: "Your tenant has no device with the `device_id`.",
        message: "there is no device \"am102-7\"",
    },
    DeclaredError {
        operations: &["list_fills"],
        reason: Reason::Invalid,
        cause: "A parameter breaks its rule, or `cursor` belongs to the list of another data table.",
        message: "cursor: must be a next_cursor that this list has answered",
    },
    DeclaredError {
        operations: &["get_fill"],
        reason: Reason::NotFound,
        cause: "The data table has no fill with this id. Fills are removed `job_keep_days` (30 days) after their end.",
        message: "there is no fill \"7\"",
    },
];
