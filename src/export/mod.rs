//! Files of a data table's rows, and scheduled exports, which send such files to other systems.
//!
//! | file | what it is |
//! |---|---|
//! | `file.rs`, `pieces.rs` | a file with all rows of a source, made piece by piece |
//! | `csv.rs`, `csv_guard.rs`, `ndjson.rs`, `parquet.rs` | the formats |
//! | `schedule.rs` | the times of scheduled exports |
//! | `exporter.rs` | looks for runs that are due, and holds their leases |
//! | `run.rs`, `window.rs` | one attempt to send the file of a run, and its rows |
//! | `targets/` | the systems that receive files |

use std::future::Future;

use crate::{error::Error, store::data::Row};

pub mod csv;
pub mod csv_guard;
pub mod exporter;
pub mod file;
pub mod ndjson;
pub mod parquet;
pub mod pieces;
mod run;
pub mod schedule;
pub mod targets;
mod window;

/// Column of an exported file.
#[derive(Clone)]
pub struct Field {
    /// Member of a row's data.
    pub path: String,
    /// Type of the values.
    pub kind: FieldKind,
    /// Unit of the values.
    pub unit: Option<String>,
}

/// Type of the values of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    Number,
    Text,
    Boolean,
    Json,
}

/// Format of an exported file.
pub trait Format: Sized + Send + 'static {
    /// True if the file needs to know its columns before the first row.
    const NEEDS_FIELDS: bool = true;
    /// Maximum number of bytes of the names of all fields of a table without columns.
    const NAMES_MAX_BYTES: usize = 1024 * 1024;
    /// Maximum number of fields of a table without columns.
    const FIELDS_MAX: usize = usize::MAX;

    /// Returns the beginning of a file with these columns.
    fn begin(&mut self, fields: Vec<Field>) -> Result<Vec<u8>, Error>;

    /// Returns the next part of the file, which may lack some of the last rows.
    fn rows(&mut self, rows: Vec<Row>) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;

    /// Returns the end of the file.
    fn end(&mut self) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;
}
