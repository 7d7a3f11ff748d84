//! Files of rows in CSV and NDJSON, as the exports of data tables write them, read by an import.
//!
//! An error affects only its own row; one of the header line affects the whole file.

use std::collections::HashMap;

use chrono::TimeDelta;
use encoding_rs::Encoding;

use self::row::{Fields, Read, Unreadable};
use crate::{
    api::{
        data::columns::Column,
        http::{file_encoding::decode, sheet_file::Format},
    },
    clock::Time,
    error::{Error, Reason},
    store::data::imports::{Content, NewImport, Row, rows_to_text},
};

mod csv;
mod ndjson;
mod row;

/// Maximum number of rows of an import.
pub const ROWS_MAX: i64 = 1_000_000;
/// Number of rows that are stored together; a transaction processes one or more such batches.
const BATCH: usize = 32;
/// Maximum number of days by which rows may be ahead of the hub's clock.
const AHEAD_DAYS: i64 = 1;
/// Maximum number of characters of an error.
const ERROR_MAX: usize = 500;

/// File to read.
pub struct File<'a> {
    /// Format of the file.
    pub format: Format,
    /// Encoding that the client names.
    pub encoding: Option<&'static Encoding>,
    /// True if texts in CSV are as they are, without a guard from spreadsheets.
    pub is_raw: bool,
    /// Maximum number of bytes of a row.
    pub row_max: usize,
    /// Columns of the data table; `None` if it stores all fields.
    pub columns: Option<&'a [Column]>,
    /// Time of the request.
    pub now: Time,
}

/// Reads a file. Fails only for errors of the whole file; a broken row becomes a failed row.
pub fn read(file: &File<'_>, bytes: &[u8]) -> Result<NewImport, Error> {
    let decoded = decode(bytes, file.encoding)?;
    let fields = Fields {
        columns: file.columns,
        latest: file.now + TimeDelta::days(AHEAD_DAYS),
    };
    let mut batches = Batches::default();
    let delimiter = match file.format {
        Format::Csv => {
            let sheet = csv::Sheet::open(&decoded.bytes, fields, file.is_raw, file.row_max)?;
            let delimiter = sheet.delimiter();
            batches.gather(sheet)?;
            Some(delimiter)
        }
        Format::Ndjson => {
            batches.gather(ndjson::rows(&decoded.bytes, &fields, file.row_max))?;
            None
        }
    };
    Ok(NewImport {
        format: file.format.name(),
        encoding: decoded.encoding,
        delimiter,
        rows_total: batches.total,
        batches: batches.written,
    })
}

/// Rows in batches.
#[derive(Default)]
struct Batches {
    total: i64,
    written: Vec<(i64, String)>,
    waiting: Vec<Row>,
    /// Numbers of the devices by their identifiers.
    devices: HashMap<String, u32>,
    /// Number of rows of each device and time so far.
    places: HashMap<(u32, Time), u32>,
}

impl Batches {
    /// Collects the rows, which come with their line numbers.
    fn gather(&mut self, rows: impl Iterator<Item = (i64, Read)>) -> Result<(), Error> {
        for (line, read) in rows {
            self.total += 1;
            if self.total > ROWS_MAX {
                return Err(Error::of_field(
                    Reason::TooLarge,
                    "body",
                    format!("must have at most {ROWS_MAX} rows"),
                ));
            }
            let (device_id, content) = match read {
                Ok(content) => (Some(content.device_id.clone()), Ok(self.counted(content))),
                Err(Unreadable { device_id, error }) => (device_id, Err(storable(&error))),
            };
            self.waiting.push(Row {
                number: self.total,
                line,
                device_id,
                content,
            });
            if self.waiting.len() == BATCH {
                self.write()?;
            }
        }
        self.write()?;
        if self.total == 0 {
            return Err(Error::field("body", "must have at least one row"));
        }
        Ok(())
    }

    /// Sets the number of rows of the same device and time that precede the row.
    fn counted(&mut self, content: Content) -> Content {
        let next = u32::try_from(self.devices.len()).unwrap_or(u32::MAX);
        let device = match self.devices.get(&content.device_id) {
            Some(device) => *device,
            None => *self
                .devices
                .entry(content.device_id.clone())
                .or_insert(next),
        };
        let count = self.places.entry((device, content.time)).or_default();
        let before = *count;
        *count += 1;
        Content { before, ..content }
    }

    fn write(&mut self) -> Result<(), Error> {
        if let Some(first) = self.waiting.first() {
            let rows = rows_to_text(&self.waiting)?;
            self.written.push((first.number, rows));
            self.waiting.clear();
        }
        Ok(())
    }
}

/// Shortens an error and replaces control characters, because it may contain a name of the client, and PostgreSQL
/// stores no NUL.
fn storable(error: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    error.chars().take(ERROR_MAX).map(plain).collect()
}
