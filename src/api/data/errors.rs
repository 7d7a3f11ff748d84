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
];
