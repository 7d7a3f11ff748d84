//! Imports of rows into data tables, which run in the background.

use poem::Result;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use super::import::{self, File};
use crate::{
    api::{
        data::columns::Column,
        http::{
            answer::{Begun, Found},
            bounds::{BodyBounds, BodyMax, OwnBound},
            caller::Caller,
            files::{FileKind, Sent},
            mirror::mirror,
            page::Listed,
            paging::Paging,
            sheet_file::{self, Format, SHEET_TYPES, SheetFile},
            types::{Count, Id, Timestamp},
        },
        tag::Tag,
    },
    hub::Hub,
    id::{DataTableId, RowImportId},
    store::{
        core::jobs::State,
        data::{
            self,
            imports::{self, FailedRow, Import},
        },
    },
    threads::run_apart,
};

/// Size bound of an import's file.
pub const IMPORT: OwnBound = OwnBound {
    operation: "create_row_import",
    max: BodyMax::Import,
};

/// Kind of an uploaded file with rows to import.
struct RowFile;

/// Format of a file of rows. `csv`: cells with a delimiter and a header line (RFC 4180). `ndjson`: one JSON object per
/// line.
#[derive(Debug, Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case", rename = "RowFormat")]
#[serde(rename_all = "snake_case")]
enum FormatName {
    Csv,
    Ndjson,
}

/// State of an import of rows.
#[derive(Enum, Clone, Copy, Serialize, Deserialize)]
#[oai(rename_all = "snake_case", rename = "RowImportState")]
#[serde(rename_all = "snake_case")]
enum StateView {
    /// Rows wait for their turn.
    Running,
    /// All rows were processed, successfully or not.
    Done,
    /// An internal error has ended the import.
    Failed,
}

/// An import of rows into a data table.
#[derive(Object, Serialize)]
#[oai(rename = "RowImport")]
struct ImportView {
    /// Unique identifier of the import.
    id: Id,
    /// State of the import.
    state: StateView,
    /// Format of the file.
    format: FormatName,
    /// Character encoding in which the file was read, by its name in the WHATWG Encoding Standard in lower case, such
    /// as `utf-8` or `windows-1252`.
    encoding: String,
    /// Delimiter of the cells. Null for NDJSON.
    delimiter: Option<String>,
    /// Number of rows in the file.
    rows_total: Count,
    /// Number of rows that were added so far.
    added: Count,
    /// Number of rows so far that the data table had already, and that were not added again.
    skipped: Count,
    /// Number of rows that were refused so far.
    failed: Count,
    /// Time at which the import was created.
    created_at: Timestamp,
    /// Time of the last progress.
    updated_at: Timestamp,
    /// Time at which the import ended; null while it is running.
    finished_at: Option<Timestamp>,
}

/// Row of a file that an import has refused.
#[derive(Object, Serialize)]
#[oai(rename = "FailedRow")]
struct FailedRowView {
    /// Number of the row, counted from 1 without the header line and empty rows.
    row: Id,
    /// Line of the file in which the row starts, counted from 1.
    line: Id,
    /// Identifier of the device. Null if the row contains no valid one.
    device_id: Option<String>,
    /// Reason why the row was refused, with the column and the rule.
    error: String,
}

impl FileKind for RowFile {
    const DESCRIPTION: &'static str = "File of rows in CSV or NDJSON.";
    const USUAL_TYPES: &'static [&'static str] = SHEET_TYPES;

    fn may_be(media_type: &str) -> bool {
        sheet_file::may_be(media_type)
    }

    fn max_bytes(bounds: &BodyBounds) -> usize {
        bounds.import_max_bytes
    }
}

impl SheetFile for RowFile {}

/// Endpoints of `data-tables/{id}/imports`.
pub struct RowImportsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::DataTables")]
impl RowImportsApi {
    /// Import rows
    ///
    /// Stores a file of rows and adds them to the data table in the background. The response contains the import:
    /// request it again until its state is `done`. A row that is invalid is refused alone. The file may have up to 64
    /// MiB (setting `import_max_bytes`) and 1,000,000 rows, and what an export of rows returns can be imported as it is.
    ///
    /// A row has a `time`, a `device_id` and values of columns of the data table, with their types; without columns, any
    /// values. Rows of devices that do not exist, older than the `retention_days` of the data table, before 1970 or more
    /// than a day in the future are refused. A row whose device and time are in the data table already is skipped, so a
    /// file can be imported again; of several rows with the same device and time, as many are added as are missing.
    ///
    /// A CSV file starts with a header line with `time`, `device_id` and columns, as in an export, with or without their
    /// units. Cells are separated by commas, semicolons, tabs or vertical bars: the header line determines the
    /// delimiter, or a first line such as `sep=;`. Empty cells are missing values. An apostrophe before text that a
    /// spreadsheet would take for a formula is removed, unless `raw` is true. In columns of the type `json`, and without
    /// columns, a cell that is a number, `true`, `false` or JSON is read as such.
    ///
    /// A line of an NDJSON file is an object as in the list of rows.
    ///
    /// The content type is `application/octet-stream`, `text/csv` (or `application/vnd.ms-excel`),
    /// `application/x-ndjson` (or `application/ndjson`), or `multipart/form-data` with the file as its only part. The
    /// encoding is that of a byte order mark, otherwise the `charset` of the content type, otherwise UTF-8, otherwise
    /// Windows-1252 if no other encoding is possible.
    ///
    /// Fails with 400 if the file as a whole cannot be read: a column that the data table does not have or that is
    /// repeated, an encoding that cannot be determined, no rows; if `format` contradicts the content type; or if 5
    /// imports of the data table are running. Fails with 404 if the data table does not exist, and with 503 while other
    /// files are being received: at most one per user or API key, two per tenant and four in the hub.
    #[oai(
        path = "/data-tables/:id/import",
        method = "post",
        operation_id = "create_row_import"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Format of the file. Default: the format of its content type or of the extension of its name, otherwise
        /// `csv`.
        format: Query<Option<FormatName>>,
        /// Texts in CSV are as they are, as in an export with `raw=true`: an apostrophe before a formula is part of the
        /// text. Default: `false`.
        raw: Query<Option<bool>>,
        file: Sent<RowFile>,
    ) -> Result<Begun<ImportView>> {
        let scope = caller.scope();
        let table = data::get::<Column>(scope, DataTableId(**id)).await?;
        let format = file.format(format.0.map(Format::from))?;
        let encoding = file.told_encoding()?;
        let (is_raw, row_max) = (raw.0.unwrap_or_default(), self.hub.config.body_max_bytes);
        // Held to the end, because the rows take as much memory as the file until they are stored.
        let place = file.place.clone();
        let now = scope.now();
        let new = run_apart("row import", place.clone(), move || {
            let rules = File {
                format,
                encoding,
                is_raw,
                row_max,
                columns: table.provisioned.columns.as_deref(),
                now,
            };
            import::read(&rules, &file.bytes)
        });
        let import = self
            .hub
            .row_imports
            .begin(scope, table.id, new.await?)
            .await?;
        Ok(Begun {
            location: format!("/api/v3/data-tables/{}/imports/{}", table.id, import.id),
            body: import.into(),
        })
    }

    /// List a data table's imports
    ///
    /// Returns the imports of rows into the data table, newest first. Imports that have ended are removed after
    /// `job_keep_days` (30 days). Fails with 404 if the data table does not exist.
    #[oai(
        path = "/data-tables/:id/imports",
        method = "get",
        operation_id = "list_row_imports"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        paging: Paging,
    ) -> Result<Listed<ImportView>> {
        let scope = caller.scope();
        let table = data::get::<Column>(scope, DataTableId(**id)).await?.id;
        let window = paging.window()?;
        let page = imports::list(scope, table, &window.stretch).await?;
        Ok(window.answer(page, ImportView::from)?)
    }

    /// Get an import of rows
    ///
    /// Returns the state of the import and the numbers of its rows by outcome. Fails with 404 if the data table has no
    /// such import.
    #[oai(
        path = "/data-tables/:id/imports/:import_id",
        method = "get",
        operation_id = "get_row_import"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Unique identifier of the import.
        import_id: Path<Id>,
    ) -> Result<Found<ImportView>> {
        let (table, import) = (DataTableId(**id), RowImportId(**import_id));
        let found = imports::get(caller.scope(), table, import).await?;
        Ok(Found(found.into()))
    }

    /// List an import's failed rows
    ///
    /// Returns the rows that the import has refused so far, in the order of the file, with the column and the rule. Fails
    /// with 404 if the data table has no such import.
    #[oai(
        path = "/data-tables/:id/imports/:import_id/failed-rows",
        method = "get",
        operation_id = "list_failed_rows"
    )]
    async fn failed_rows(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Unique identifier of the import.
        import_id: Path<Id>,
        paging: Paging,
    ) -> Result<Listed<FailedRowView>> {
        let scope = caller.scope();
        let (table, import) = (DataTableId(**id), RowImportId(**import_id));
        let import = imports::get(scope, table, import).await?;
        let window = paging.window()?;
        let page = imports::failed_rows(scope, import.id, &window.stretch).await?;
        Ok(window.answer(page, FailedRowView::from)?)
    }
}

mirror!(FormatName = Format: Csv, Ndjson);
mirror!(StateView = State: Running, Done, Failed);

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
            added: Count::saturating(import.added),
            skipped: Count::saturating(import.skipped),
            failed: Count::saturating(import.failed),
            created_at: Timestamp(import.created_at),
            updated_at: Timestamp(import.updated_at),
            finished_at: import.finished_at.map(Timestamp),
        }
    }
}

impl From<FailedRow> for FailedRowView {
    fn from(row: FailedRow) -> Self {
        Self {
            row: Id::saturating(row.number),
            line: Id::saturating(row.line),
            device_id: row.device_id,
            error: row.error,
        }
    }
}
