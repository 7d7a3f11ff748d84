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
            "aggregate_rows",
            "list_latest_values",
            "get_data_table_chart",
            "export_rows",
            "delete_rows",
        ],
        reason: Reason::NotFound,
        cause: "Your tenant has no data table with this id.",
        message: "there is no data table \"3\"",
    },
    // Rows.
    DeclaredError {
        operations: &["list_rows", "export_rows"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, `to` is before `from`, or `cursor` belongs to other filters, \
                another table or the other of the two formats. A `device_id` that no device has is no error: the \
                result has no rows.",
        message: "to: must not be before from",
    },
    DeclaredError {
        operations: &["aggregate_rows"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, `to` is before `from`, a column does not exist or has no numbers, the \
                period has more rows than one request reads, or the answer would have more than 10,000 items. The message \
                names the parameter and the limit. A `device_id` that no device has is no error.",
        message: "columns: the data table has no column \"temprature\"",
    },
    DeclaredError {
        operations: &["get_data_table_chart"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, `to` is before `from`, a column does not exist or has no numbers, the \
                period has more rows than one request reads, or the chart would have more than 12 lines. The message \
                names the parameter and the limit. A `device_id` that no device has is no error.",
        message: "device_id: the chart would have more than 12 lines (devices by columns); choose fewer devices or \
                  fewer columns",
    },
    DeclaredError {
        operations: &["aggregate_rows", "get_data_table_chart"],
        reason: Reason::Required,
        cause: "The data table has no fixed columns, or more than 16 of the type `number`: name the columns.",
        message: "columns: is required: the data table has no fixed columns",
    },
    DeclaredError {
        operations: &["list_latest_values"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, or `cursor` belongs to other filters or another table. A `device_id` \
                that no device has is no error.",
        message: "selector: at column 13: expected a label, found the end",
    },
    DeclaredError {
        operations: &[
            "aggregate_rows",
            "aggregate_device_uplinks",
            "list_latest_values",
            "get_data_table_chart",
            "get_device_chart",
        ],
        reason: Reason::Overloaded,
        cause: "Too many aggregations are in progress, or the database needs more than 15 seconds. Wait, or choose a \
                shorter period.",
        message: "too many aggregations of this tenant are in progress; try again",
    },
    DeclaredError {
        operations: &["delete_rows"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, or `to` is before `from`. A `device_id` that no device has is no \
                error: rows outlive the device.",
        message: "to: must not be before from",
    },
];
