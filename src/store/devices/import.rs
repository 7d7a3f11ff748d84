//! Types of device imports.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Time,
    error::{Error, Result},
    id::ImportId,
    store::{
        core::words::{self, Word, words},
        devices::{batch::OnExisting, record::NewDevice},
        entities::device_import,
    },
};

/// Progress of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The import is waiting.
    Queued,
    /// Some of its rows are done.
    Running,
    /// All of its rows are done.
    Done,
    /// An internal error has ended it.
    Failed,
}

/// Import of devices.
#[derive(Debug, Clone)]
pub struct Import {
    /// Identifier of the import.
    pub id: ImportId,
    /// Progress of the import.
    pub state: State,
    /// Format of the imported file.
    pub format: String,
    /// Character encoding of the file, if known.
    pub encoding: Option<String>,
    /// Delimiter of the cells, if the format has one.
    pub delimiter: Option<String>,
    /// Handling of devices that exist already.
    pub on_existing: OnExisting,
    /// Number of rows.
    pub rows_total: i64,
    /// Number of rows that created a device.
    pub created: i64,
    /// Number of rows that replaced a device.
    pub updated: i64,
    /// Number of rows whose device existed and was left unchanged.
    pub skipped: i64,
    /// Number of rows that failed.
    pub failed: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last progress.
    pub updated_at: Time,
    /// Time at which the import ended; `None` until then.
    pub finished_at: Option<Time>,
}

/// Import to create.
pub struct NewImport {
    /// Format of the imported file.
    pub format: &'static str,
    /// Character encoding of the file.
    pub encoding: String,
    /// Delimiter of the cells, if the format has one.
    pub delimiter: Option<char>,
    /// Handling of devices that exist already.
    pub on_existing: OnExisting,
    /// Number of rows.
    pub rows_total: i64,
    /// Batches: the number of the first row, and the rows as written by [`rows_to_text`].
    pub batches: Vec<(i64, String)>,
}

/// Row that waits for import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Row number, counted from 1.
    pub number: i64,
    /// Line of the file in which the row starts; `None` in rows stored by older versions.
    #[serde(default)]
    pub line: Option<i64>,
    /// Identifier of the device, if known.
    pub device_id: Option<String>,
    /// Device to create, or the reason why the row is invalid.
    pub content: Result<NewDevice, String>,
}

/// Rows that are imported together, from one or more waiting batches.
pub struct Batch {
    /// Number of the first row of each batch.
    pub first_rows: Vec<i64>,
    /// Rows of the batches.
    pub rows: Vec<Row>,
    /// Handling of devices that exist already.
    pub on_existing: OnExisting,
}

/// Outcome of a row.
#[derive(Debug, Clone)]
pub struct RowResult {
    /// Row number, counted from 1.
    pub number: i64,
    /// Line of the file in which the row starts, if known.
    pub line: Option<i64>,
    /// Identifier of the device, if known.
    pub device_id: Option<String>,
    /// `created`, `updated`, `skipped` or `failed`.
    pub outcome: String,
    /// Reason of a failure.
    pub error: Option<String>,
}

words!(State {
    Queued = "queued",
    Running = "running",
    Done = "done",
    Failed = "failed",
});

/// Returns the database's word for a value.
pub(in crate::store) fn text(choice: impl Word) -> String {
    choice.word().to_owned()
}

impl TryFrom<device_import::Model> for Import {
    type Error = Error;

    fn try_from(model: device_import::Model) -> Result<Self> {
        Ok(Self {
            id: ImportId(model.id),
            state: words::of_column(device_import::Column::State, &model.state)?,
            format: model.format,
            encoding: model.encoding,
            delimiter: model.delimiter,
            on_existing: words::of_column(device_import::Column::OnExisting, &model.on_existing)?,
            rows_total: model.rows_total,
            created: model.created,
            updated: model.updated,
            skipped: model.skipped,
            failed: model.failed,
            created_at: model.created_at,
            updated_at: model.updated_at,
            finished_at: model.finished_at,
        })
    }
}
