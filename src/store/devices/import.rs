//! Imports of devices as they are read, and what they are made of.

use std::any::type_name;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Time,
    error::{Error, Result},
    id::ImportId,
    store::{
        core::words::{Word, words},
        devices::{batch::OnExisting, record::NewDevice},
        entities::device_import,
    },
};

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits.
    Queued,
    /// Some of its rows are done.
    Running,
    /// All of its rows are done.
    Done,
    /// A fault inside the hub has ended it.
    Failed,
}

/// An import.
#[derive(Debug, Clone)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// How far it is.
    pub state: State,
    /// What its rows were written in.
    pub format: String,
    /// The encoding of the file, where it is known.
    pub encoding: Option<String>,
    /// What separates its cells, where it has any.
    pub delimiter: Option<String>,
    /// What is done with devices that are there already.
    pub on_existing: OnExisting,
    /// All its rows.
    pub rows_total: i64,
    /// Rows that have made a device.
    pub created: i64,
    /// Rows that have replaced one.
    pub updated: i64,
    /// Rows whose device was there already and stays as it is.
    pub skipped: i64,
    /// Rows that could not be done.
    pub failed: i64,
    /// When it was begun.
    pub created_at: Time,
    /// When it last went on.
    pub updated_at: Time,
    /// When its last row was done.
    pub finished_at: Option<Time>,
}

/// What to import.
pub struct NewImport {
    /// What the rows were written in.
    pub format: &'static str,
    /// The encoding of the file.
    pub encoding: String,
    /// What separates its cells, where it has any.
    pub delimiter: Option<char>,
    /// What to do with devices that are there already.
    pub on_existing: OnExisting,
    /// How many rows there are.
    pub rows_total: i64,
    /// The batches: the number of the first row, and the rows as [`rows_to_text`] writes them.
    pub batches: Vec<(i64, String)>,
}

/// A row as it waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Counted from 1.
    pub number: i64,
    /// The line of the file that it starts in; older versions did not keep it.
    #[serde(default)]
    pub line: Option<i64>,
    /// The device's id, where it can be told.
    pub device_id: Option<String>,
    /// What to make, or why nothing can be made of it.
    pub content: Result<NewDevice, String>,
}

/// Rows that are done together: one or more of the batches that wait.
pub struct Batch {
    /// The number of the first row of each of those batches.
    pub first_rows: Vec<i64>,
    /// The rows.
    pub rows: Vec<Row>,
    /// What to do with devices that are there already.
    pub on_existing: OnExisting,
}

/// What became of a row.
#[derive(Debug, Clone)]
pub struct RowResult {
    /// Counted from 1.
    pub number: i64,
    /// The line of the file that it starts in, where it is known.
    pub line: Option<i64>,
    /// The device's id, where it can be told.
    pub device_id: Option<String>,
    /// `created`, `updated`, `skipped` or `failed`.
    pub outcome: String,
    /// Why it failed.
    pub error: Option<String>,
}

words!(State {
    Queued = "queued",
    Running = "running",
    Done = "done",
    Failed = "failed",
});

/// The database's word for one of our choices.
pub(in crate::store) fn text(choice: impl Word) -> String {
    choice.word().to_owned()
}

/// The choice that a word of the database stands for.
pub(in crate::store) fn read<T: Word>(word: &str) -> Result<T> {
    T::of_word(word).ok_or_else(|| {
        let choice = type_name::<T>();
        Error::internal(format!("\"{word}\" is no {choice}"))
    })
}

impl TryFrom<device_import::Model> for Import {
    type Error = Error;

    fn try_from(model: device_import::Model) -> Result<Self> {
        Ok(Self {
            id: ImportId(model.id),
            state: read(&model.state)?,
            format: model.format,
            encoding: model.encoding,
            delimiter: model.delimiter,
            on_existing: read(&model.on_existing)?,
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
