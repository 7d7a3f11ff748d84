//! Imports of devices, which run in the background, and the results of their rows.

use poem::Result;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        devices::{bulk::FormatName, csv, files::DeviceFile, rows::Format},
        http::{
            answer::{Begun, Found},
            bounds::{BodyMax, OwnBound},
            caller::Caller,
            files::Sent,
            mirror::{mirror, words},
            page::Listed,
            paging::Paging,
            types::{Count, Id, Timestamp},
        },
        tag::Tag,
    },
    error::Error,
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

/// What to do with a device that is there already
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", rename = "OnExisting")]
enum OnExistingBody {
    /// The row fails.
    Fail,
    /// The row takes the device's place.
    Update,
    /// The device stays as it is.
    Skip,
}

/// How far an import is
#[derive(Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case", rename = "DeviceImportState")]
#[serde(rename_all = "snake_case")]
enum StateView {
    Queued,
    Running,
    Done,
    Failed,
}

/// What became of a row
#[derive(Debug, Enum, Clone, Copy, Serialize, Deserialize)]
#[oai(rename_all = "snake_case", rename = "DeviceImportOutcome")]
#[serde(rename_all = "snake_case")]
enum OutcomeView {
    Created,
    Updated,
    Skipped,
    Failed,
}

/// An import of devices
#[derive(Object, Serialize)]
#[oai(rename = "DeviceImport")]
struct ImportView {
    /// Its id
    id: Id,
    /// How far it is: `failed` means that a fault inside the hub has ended it, `done` that every row has been tried
    state: StateView,
    /// What its rows were written in
    format: FormatName,
    /// Character encoding that the file was read in, by its lower-case name in the WHATWG Encoding Standard, such as
    /// `utf-8` or `windows-1252`; null for imports of older versions
    encoding: Option<String>,
    /// Character that separates the cells of the CSV file; null for NDJSON
    delimiter: Option<String>,
    /// All its rows
    rows_total: Count,
    /// Rows that have made a device
    created: Count,
    /// Rows that have replaced a device
    updated: Count,
    /// Rows whose device was there already and stays as it is
    skipped: Count,
    /// Rows that could not be done
    failed: Count,
    /// When it was begun
    created_at: Timestamp,
    /// When it last went on
    updated_at: Timestamp,
    /// When it came to its end; null before
    finished_at: Option<Timestamp>,
}

/// What became of one row of an import
#[derive(Object, Serialize)]
#[oai(rename = "DeviceImportRow")]
struct ImportRowView {
    /// Its number, counted from 1 without the header line and empty rows
    row: Id,
    /// Line of the file that the row starts in, counted from 1; null for imports of older versions
    line: Option<Id>,
    /// Its device; null where the row does not tell
    device_id: Option<String>,
    /// What became of it
    outcome: OutcomeView,
    /// Why it failed, with the field or column and the rule; null where it did not
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
    /// Takes up to 64 MiB and a million rows, keeps them, and does them in the background: the answer
    /// is the import, to be asked for until it is `done`. A row that cannot be done fails by itself.
    /// Finished imports are kept for 30 days.
    ///
    /// CSV starts with a header line; its columns, each of which may be missing, are `id`, `name`,
    /// `description`, `driver`, `labels` (separated by semicolons), `network_connection_id` and
    /// `network_device_id` (of several addresses, separated by semicolons) and `metadata` (JSON). Case
    /// and blanks in the header line make no difference. Commas, semicolons, tabs and vertical bars
    /// separate cells: the header line tells, or a first line such as `sep=;`. Empty rows are skipped,
    /// and cells that are missing at the end of a row are empty. An apostrophe before text that a
    /// spreadsheet would take for a formula is removed, as is any before an id. Ids that a spreadsheet
    /// has turned into numbers (`7.08E+15`) are refused.
    ///
    /// A line of NDJSON is a body of `POST /devices`.
    ///
    /// The content type is `application/octet-stream`, `text/csv` (or `application/vnd.ms-excel`),
    /// `application/x-ndjson` (or `application/ndjson`), or `multipart/form-data` with the file as the
    /// only part. The encoding is the one of a byte order mark, the `charset` of the content type,
    /// UTF-8, or Windows-1252 where the text can be nothing else.
    #[oai(
        path = "/devices/import",
        method = "post",
        operation_id = "create_device_import"
    )]
    async fn create_import(
        &self,
        caller: Caller,
        /// What to do with devices that are there already; `fail` by default: their rows fail
        on_existing: Query<Option<OnExistingBody>>,
        /// What the file is written in; by default what its content type or the ending of its name says, or else
        /// `csv`
        format: Query<Option<FormatName>>,
        file: Sent<DeviceFile>,
    ) -> Result<Begun<ImportView>> {
        let row_max = self.hub.config.body_max_bytes;
        let format = file.format(format.0.map(Format::from))?;
        let told = file.told_encoding()?;
        // Held to the end, because the rows take as much memory as the file until they are stored.
        let _place = file.place.clone();
        let rows = run_apart("import", move || {
            // Moves the whole file with its place, because the work goes on if the request is cancelled.
            let file = file;
            format.read(&file.bytes, told, row_max)
        });
        let rows = rows.await.map_err(Error::internal)?;
        let rows = rows.ok_or_else(|| Error::internal("reading a file broke"))??;
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

    /// List imports of devices
    ///
    /// The newest first.
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

    /// Get an import of devices
    ///
    /// How far it is.
    #[oai(
        path = "/devices/import/:id",
        method = "get",
        operation_id = "get_device_import"
    )]
    async fn get_import(
        &self,
        caller: Caller,
        /// The import's id
        id: Path<Id>,
    ) -> Result<Found<ImportView>> {
        let import = imports::get(caller.scope(), ImportId(**id)).await?;
        Ok(Found(import.into()))
    }

    /// List the rows of an import
    ///
    /// Those that are done, in their order, with what became of each.
    #[oai(
        path = "/devices/import/:id/rows",
        method = "get",
        operation_id = "list_device_import_rows"
    )]
    async fn list_import_rows(
        &self,
        caller: Caller,
        /// The import's id
        id: Path<Id>,
        /// Only those of which this became
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
