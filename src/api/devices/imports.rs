//! Imports of devices, which run in the background, and the results of their rows.

use poem::Result;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        devices::{bulk::FormatName, csv, files::DeviceFile},
        http::{
            answer::{Begun, Found},
            bounds::{BodyMax, OwnBound},
            caller::Caller,
            files::Sent,
            mirror::{mirror, words},
            page::Listed,
            paging::Paging,
            sheet_file::Format,
            types::{Count, Id, Timestamp},
        },
        tag::Tag,
    },
    hub::Hub,
    id::ImportId,
    store::devices::{
        batch::OnExisting,
        imports::{self, Import, NewImport, RowResult, State},
    },
    threads::run_apart,
};

/// Size bound of an import's file.
pub const IMPORT: OwnBound = OwnBound {
    operation: "create_device_import",
    max: BodyMax::Import,
};

/// Handling of rows whose device already exists. `fail`: the row fails. `update`: the row replaces the device. `skip`:
/// the device remains unchanged.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", rename = "OnExisting")]
enum OnExistingBody {
    /// The row fails.
    Fail,
    /// The row replaces the device.
    Update,
    /// The device remains unchanged.
    Skip,
}

/// State of an import.
///
/// - `queued`: waiting.
/// - `running`: some of its rows were processed.
/// - `done`: all of its rows were processed, successfully or not.
/// - `failed`: ended by a fault inside the hub.
#[derive(Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case", rename = "DeviceImportState")]
#[serde(rename_all = "snake_case")]
enum StateView {
    Queued,
    Running,
    Done,
    Failed,
}

/// Outcome of a row: the device was created, updated or skipped (left unchanged), or the row failed.
#[derive(Debug, Enum, Clone, Copy, Serialize, Deserialize)]
#[oai(rename_all = "snake_case", rename = "DeviceImportOutcome")]
#[serde(rename_all = "snake_case")]
enum OutcomeView {
    Created,
    Updated,
    Skipped,
    Failed,
}

/// Import of devices.
#[derive(Object, Serialize)]
#[oai(rename = "DeviceImport")]
struct ImportView {
    /// Identifier of the import.
    id: Id,
    /// State of the import.
    state: StateView,
    /// Format of the file.
    format: FormatName,
    /// Character encoding in which the file was read, by its name in the WHATWG Encoding Standard in lower case, such
    /// as `utf-8` or `windows-1252`. Null for imports of older versions.
    encoding: Option<String>,
    /// Delimiter of the cells. Null for NDJSON and for imports of older versions.
    delimiter: Option<String>,
    /// Number of rows in the file.
    rows_total: Count,
    /// Number of rows that created a device.
    created: Count,
    /// Number of rows that replaced a device.
    updated: Count,
    /// Number of rows whose device already existed and remained unchanged.
    skipped: Count,
    /// Number of rows that failed.
    failed: Count,
    /// Time at which the import was created.
    created_at: Timestamp,
    /// Time at which the import last made progress.
    updated_at: Timestamp,
    /// Time at which the import ended. Null before.
    finished_at: Option<Timestamp>,
}

/// Result of a row of an import.
#[derive(Object, Serialize)]
#[oai(rename = "DeviceImportRow")]
struct ImportRowView {
    /// Number of the row, counted from 1 without the header line and empty rows.
    row: Id,
    /// Line of the file in which the row starts, counted from 1. Null for imports of older versions.
    line: Option<Id>,
    /// Identifier of the device. Null if the row contains no valid one.
    device_id: Option<String>,
    /// Outcome of the row.
    outcome: OutcomeView,
    /// Reason why the row failed, with the field or column and the rule. Null if it did not fail.
    error: Option<String>,
}

/// Endpoints of `devices/import`.
pub struct DeviceImportsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Devices")]
impl DeviceImportsApi {
    /// Import devices
    ///
    /// Stores a file of devices and imports its rows in the background. The response contains the import: request it
    /// again until its state is `done`. A row that is invalid fails alone. Finished imports are kept for
    /// `job_keep_days` (30 days). The file may have up to 64 MiB (setting `import_max_bytes`) and 1,000,000 rows.
    ///
    /// Fails with 400 if the file as a whole cannot be read: an unknown or repeated column, an encoding that cannot be
    /// determined, a spreadsheet workbook, no rows; if `format` contradicts the content type; or if 10 imports of the
    /// tenant are not finished. Fails with 503 while other files are being received: at most one per user or API key,
    /// two per tenant and four in the hub.
    ///
    /// A CSV file starts with a header line. Its columns are `id`, `name`, `description`, `driver`, `labels` (separated
    /// by semicolons), `network_connection_id` and `network_device_id` (several addresses are separated by semicolons),
    /// and `metadata` (JSON); each of them is optional. Case, blanks and dashes in the header line are ignored. Cells
    /// are separated by commas, semicolons, tabs or vertical bars: the header line determines the delimiter, or a first
    /// line such as `sep=;`. Empty rows are skipped, and cells that are missing at the end of a row are empty. An
    /// apostrophe before text that a spreadsheet would take for a formula is removed, and so is any apostrophe before
    /// an id. Ids that a spreadsheet has converted to numbers (`7.08E+15`) are rejected.
    ///
    /// A line of an NDJSON file is a body of `POST /api/v3/devices`.
    ///
    /// The content type is `application/octet-stream`, `text/csv` (or `application/vnd.ms-excel`),
    /// `application/x-ndjson` (or `application/ndjson`), or `multipart/form-data` with the file as its only part. The
    /// encoding is that of a byte order mark, otherwise the `charset` of the content type, otherwise UTF-8, otherwise
    /// Windows-1252 if no other encoding is possible.
    #[oai(
        path = "/devices/import",
        method = "post",
        operation_id = "create_device_import"
    )]
    async fn create_import(
        &self,
        caller: Caller,
        /// Handling of rows whose device already exists. Default: `fail`.
        on_existing: Query<Option<OnExistingBody>>,
        /// Format of the file. Default: the format of its content type or of the extension of its name, otherwise
        /// `csv`.
        format: Query<Option<FormatName>>,
        file: Sent<DeviceFile>,
    ) -> Result<Begun<ImportView>> {
        let row_max = self.hub.config.body_max_bytes;
        let format = file.format(format.0.map(Format::from))?;
        let told = file.told_encoding()?;
        // Held to the end, because the rows take as much memory as the file until they are stored.
        let place = file.place.clone();
        let rows = run_apart("import", place.clone(), move || {
            format.read(&file.bytes, told, row_max)
        });
        let rows = rows.await?;
        let new = NewImport {
            format: format.name(),
            on_existing: on_existing.0.map_or(OnExisting::Fail, OnExistingBody::into),
            encoding: rows.encoding,
            delimiter: rows.delimiter,
            rows_total: rows.total,
            batches: rows.batches,
        };
        let import = self.hub.imports.begin(caller.scope(), new).await?;
        Ok(Begun {
            location: format!("/api/v3/devices/import/{}", import.id),
            body: import.into(),
        })
    }

    /// List device imports
    ///
    /// Returns the imports of the tenant, newest first. Finished imports are removed after `job_keep_days` (30 days).
    #[oai(
        path = "/devices/import",
        method = "get",
        operation_id = "list_device_imports"
    )]
    async fn list_imports(&self, caller: Caller, paging: Paging) -> Result<Listed<ImportView>> {
        let window = paging.window()?;
        let page = imports::list(caller.scope(), &window.stretch).await?;
        Ok(window.answer(page, ImportView::from)?)
    }

    /// Get a device import
    ///
    /// Returns the state of the import and the numbers of its rows by outcome. Fails with 404 if the import does not
    /// exist.
    #[oai(
        path = "/devices/import/:id",
        method = "get",
        operation_id = "get_device_import"
    )]
    async fn get_import(
        &self,
        caller: Caller,
        /// Identifier of the import.
        id: Path<Id>,
    ) -> Result<Found<ImportView>> {
        let import = imports::get(caller.scope(), ImportId(**id)).await?;
        Ok(Found(import.into()))
    }

    /// List a device import's rows
    ///
    /// Returns the processed rows of the import with their outcomes, in the order of the file. Fails with 404 if the
    /// import does not exist.
    #[oai(
        path = "/devices/import/:id/rows",
        method = "get",
        operation_id = "list_device_import_rows"
    )]
    async fn list_import_rows(
        &self,
        caller: Caller,
        /// Identifier of the import.
        id: Path<Id>,
        /// Outcome of the rows.
        outcome: Query<Option<OutcomeView>>,
        paging: Paging,
    ) -> Result<Listed<ImportRowView>> {
        let scope = caller.scope();
        let import = imports::get(scope, ImportId(**id)).await?;
        let window = paging.window()?;
        let outcome = outcome.0.map(OutcomeView::word);
        let page = imports::rows(scope, import.id, outcome, &window.stretch).await?;
        let is_csv = import.format == Format::Csv.name();
        Ok(window.answer(page, |row| ImportRowView::of(row, is_csv))?)
    }
}

mirror!(OnExistingBody = OnExisting: Fail, Update, Skip);
mirror!(StateView = State: Queued, Running, Done, Failed);
words!(OutcomeView: Created = "created", Updated = "updated", Skipped = "skipped"; Failed = "failed");

impl From<Import> for ImportView {
    fn from(import: Import) -> Self {
        Self {
            id: Id::saturating(import.id.0),
            state: import.state.into(),
            format: match import.format.as_str() {
                "ndjson" => FormatName::Ndjson,
                _ => FormatName::Csv,
            },
            encoding: import.encoding,
            delimiter: import.delimiter,
            rows_total: Count::saturating(import.rows_total),
            created: Count::saturating(import.created),
            updated: Count::saturating(import.updated),
            skipped: Count::saturating(import.skipped),
            failed: Count::saturating(import.failed),
            created_at: Timestamp(import.created_at),
            updated_at: Timestamp(import.updated_at),
            finished_at: import.finished_at.map(Timestamp),
        }
    }
}

impl ImportRowView {
    fn of(row: RowResult, is_csv: bool) -> Self {
        // Errors of a CSV file name the column instead of the JSON path.
        let place = |error: String| match is_csv {
            true => csv::of_column(&error),
            false => error,
        };
        Self {
            row: Id::saturating(row.number),
            line: row.line.map(Id::saturating),
            device_id: row.device_id,
            outcome: OutcomeView::of_word(&row.outcome),
            error: row.error.map(place),
        }
    }
}
