//! Errors that are specific to these operations.

use crate::{api::http::declared_error::DeclaredError, error::Reason};

/// Operations that need nothing but the scheduled export.
const OF_EXPORT: &[&str] = &[
    "get_scheduled_export",
    "update_scheduled_export",
    "delete_scheduled_export",
    "create_export_run",
    "list_export_runs",
    "test_scheduled_export",
];

/// Operations that store the settings of a scheduled export.
const EXPORT_WRITES: &[&str] = &["create_scheduled_export", "update_scheduled_export"];

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
            "export_rows_ndjson",
            "export_rows_parquet",
            "delete_rows",
            "create_fill",
            "list_fills",
            "create_row_import",
            "list_row_imports",
        ],
        reason: Reason::NotFound,
        cause: "Your tenant has no data table with this id.",
        message: "there is no data table \"3\"",
    },
    // Scheduled exports.
    DeclaredError {
        operations: &["create_scheduled_export", "list_scheduled_exports"],
        reason: Reason::NotFound,
        cause: "Your tenant has no data table with this id.",
        message: "there is no data table \"3\"",
    },
    DeclaredError {
        operations: OF_EXPORT,
        reason: Reason::NotFound,
        cause: "The data table has no scheduled export with this id.",
        message: "there is no scheduled export \"7\"",
    },
    DeclaredError {
        operations: EXPORT_WRITES,
        reason: Reason::AlreadyExists,
        cause: "Another scheduled export of the data table has this name. Choose another name.",
        message: "name: another scheduled export has this name already",
    },
    DeclaredError {
        operations: EXPORT_WRITES,
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule: `schedule` is a cron expression of five fields with a time in the \
                future, `timezone` is a name of the IANA database, `raw` and `units` need the format `csv`, and a target \
                must not be a private address that the operator has not allowed.",
        message: "timezone: must be the name of a time zone, such as Europe/Berlin or UTC",
    },
    DeclaredError {
        operations: EXPORT_WRITES,
        reason: Reason::Required,
        cause: "A secret of the target is missing, or its address has changed and the secret is not in the body.",
        message: "target.password: is required, or target.private_key",
    },
    DeclaredError {
        operations: EXPORT_WRITES,
        reason: Reason::WrongState,
        cause: "The target has the type `folder`, and the operator has not set `export_folder`.",
        message: "target.type: folder requires the operator's setting export_folder",
    },
    DeclaredError {
        operations: &["create_scheduled_export"],
        reason: Reason::LimitReached,
        cause: "The data table has 20 scheduled exports. Delete one of them.",
        message: "a data table can have 20 scheduled exports",
    },
    DeclaredError {
        operations: &["list_scheduled_exports", "list_export_runs"],
        reason: Reason::Invalid,
        cause: "A parameter breaks its rule, or `cursor` belongs to another list, or to one with another filter or \
                order.",
        message: "cursor: must be a next_cursor that this list has answered",
    },
    DeclaredError {
        operations: &[
            "get_scheduled_export",
            "delete_scheduled_export",
            "create_export_run",
            "get_export_run",
            "test_scheduled_export",
        ],
        reason: Reason::Invalid,
        cause: "A parameter or header breaks the rule of its schema.",
        message: "export_id: must be an integer from 1 to 9007199254740991",
    },
    DeclaredError {
        operations: &["get_export_run"],
        reason: Reason::NotFound,
        cause: "The data table has no scheduled export with this id, or the scheduled export no run with this number.",
        message: "there is no run \"12\"",
    },
    DeclaredError {
        operations: &["create_export_run"],
        reason: Reason::WrongState,
        cause: "A run of the scheduled export is in progress. Wait for its end.",
        message: "run 12 of this export is in progress",
    },
    DeclaredError {
        operations: &["test_scheduled_export"],
        reason: Reason::Overloaded,
        cause: "Four tests of the tenant, or 64 of all tenants, are under way. Wait for one to end.",
        message: "4 tests of this tenant are under way; wait for one to end",
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
        operations: &["list_rows", "list_latest_values"],
        reason: Reason::Overloaded,
        cause: "Other large pages of your tenant are being read, or their clients have not taken them yet. Take each \
                response before the next request, or request a lower `limit`.",
        message: "too many large pages of this tenant at a time; try again, or request a lower limit",
    },
    DeclaredError {
        operations: &["export_rows", "export_rows_ndjson", "export_rows_parquet"],
        reason: Reason::Overloaded,
        cause: "Other exports are running: at most 16 of a tenant and 32 of the hub at a time, of which one as Parquet \
                counts as 8. Wait for one to end.",
        message: "too many exports of this tenant at a time; try again",
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
    // Imports.
    DeclaredError {
        operations: &["create_row_import"],
        reason: Reason::Malformed,
        cause: "The body is no text file whose encoding can be determined: it is a workbook of a spreadsheet, compressed, \
                or has bytes that are not valid in its encoding. Save it as CSV in UTF-8, or name the encoding as \
                `charset` in `Content-Type`.",
        message: "body: must be a text file, but is an Excel or OpenDocument workbook: save the file as \"CSV UTF-8\" \
                  and send that",
    },
    DeclaredError {
        operations: &["create_row_import"],
        reason: Reason::Malformed,
        cause: "The body is no complete `multipart/form-data`, or the header `Content-Type` does not name its boundary.",
        message: "body: must be a whole multipart form",
    },
    DeclaredError {
        operations: &["create_row_import"],
        reason: Reason::UnsupportedMediaType,
        cause: "The header `Content-Type`, or that of the file in a form, is not one of a CSV or NDJSON file, names an \
                unknown `charset`, or says `header=absent`.",
        message: "header Content-Type: must be application/octet-stream, text/csv, application/x-ndjson or \
                  multipart/form-data",
    },
    DeclaredError {
        operations: &["create_row_import"],
        reason: Reason::TooLarge,
        cause: "The file has more than 64 MiB (setting `import_max_bytes`) or more than 1,000,000 rows. Split it.",
        message: "body: must have at most 67108864 bytes",
    },
    DeclaredError {
        operations: &["create_row_import"],
        reason: Reason::Invalid,
        cause: "The file as a whole cannot be used, and nothing is imported: the header line of a CSV file has a column \
                that the data table does not have, a repeated one, or lacks `time` or `device_id`; the file has no rows; \
                a form has no file, several or other parts; or `format` contradicts the content type. A row that breaks \
                a rule is no error of this operation: it is refused alone.",
        message: "header line: the data table has no column \"temprature\"",
    },
    DeclaredError {
        operations: &["create_row_import"],
        reason: Reason::LimitReached,
        cause: "5 imports of the data table are running. Wait until one of them is `done`.",
        message: "5 imports are running already; try again when one is done",
    },
    DeclaredError {
        operations: &["create_row_import"],
        reason: Reason::Overloaded,
        cause: "Other files are being received or stored: at most one of a user or API key, two of a tenant and four of \
                the hub at a time. Send one file after the other.",
        message: "another file of this user or API key is being received; try again",
    },
    DeclaredError {
        operations: &["list_row_imports", "list_failed_rows"],
        reason: Reason::Invalid,
        cause: "A parameter breaks its rule, or `cursor` belongs to another list.",
        message: "cursor: must be a next_cursor that this list has answered",
    },
    DeclaredError {
        operations: &["get_row_import", "list_failed_rows"],
        reason: Reason::NotFound,
        cause: "The data table has no import with this id. Imports are removed `job_keep_days` (30 days) after their end.",
        message: "there is no import \"7\"",
    },
];
