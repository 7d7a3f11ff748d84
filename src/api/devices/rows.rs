//! Files of devices: CSV and NDJSON, read for an import and written by an export.
//!
//! A row is read into the body of `POST /devices` and obeys the same rules; what is wrong with it is
//! said of that row alone.

use encoding_rs::Encoding;
use serde_json::{Value, json};

use super::csv_records::too_long;
use crate::{
    api::{
        devices::{
            csv,
            row::{Read, Unreadable, read_value},
        },
        http::{body, file_encoding::decode},
    },
    error::Error,
    store::devices::{
        NewDevice,
        imports::{Row, rows_to_text},
    },
};

/// Most rows of one import.
pub const ROWS_MAX: i64 = 1_000_000;
/// Rows that wait together; one or more such batches are done in a transaction.
const BATCH: usize = 32;

/// What rows are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Separated by commas or the like, with a header line (RFC 4180).
    Csv,
    /// A JSON object a line.
    Ndjson,
}

/// The rows of a file.
pub struct Rows {
    /// How many.
    pub total: i64,
    /// In batches, each with the number of its first row.
    pub batches: Vec<(i64, String)>,
    /// The encoding that the file was read in.
    pub encoding: String,
    /// What separates cells; NDJSON has none.
    pub delimiter: Option<char>,
}

impl Format {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv",
            Format::Ndjson => "application/x-ndjson",
        }
    }

    /// Reads a file in the encoding that was `told`, or in the one that it shows; refused is only what
    /// says nothing of any row. A row has at most `row_max` bytes.
    pub fn read(
        self,
        file: &[u8],
        told: Option<&'static Encoding>,
        row_max: usize,
    ) -> Result<Rows, Error> {
        let decoded = decode(file, told)?;
        let (batches, delimiter) = match self {
            Format::Csv => {
                let sheet = csv::Sheet::open(&decoded.bytes, row_max)?;
                let delimiter = sheet.delimiter();
                (gather(sheet)?, Some(delimiter))
            }
            Format::Ndjson => (gather(lines(&decoded.bytes, row_max))?, None),
        };
        Ok(Rows {
            total: batches.total,
            batches: batches.batches,
            encoding: decoded.encoding,
            delimiter,
        })
    }

    /// The start of a file.
    pub fn head(self) -> String {
        match self {
            Format::Csv => csv::COLUMNS.join(",") + "\n",
            Format::Ndjson => String::new(),
        }
    }

    /// The rows of some devices.
    pub fn write(self, devices: &[NewDevice]) -> Result<String, Error> {
        match self {
            Format::Csv => csv::write(devices),
            Format::Ndjson => {
                let lines = devices.iter().map(|device| line(device).to_string() + "\n");
                Ok(lines.collect())
            }
        }
    }
}

struct Batches {
    total: i64,
    batches: Vec<(i64, String)>,
}

/// Rows with their lines.
fn gather(rows: impl Iterator<Item = (i64, Read)>) -> Result<Batches, Error> {
    let mut total = 0;
    let mut batches = Vec::new();
    let mut batch = Vec::with_capacity(BATCH);
    for (line, read) in rows {
        total += 1;
        if total > ROWS_MAX {
            return Err(Error::field(
                "body",
                format!("must have at most {ROWS_MAX} rows"),
            ));
        }
        let (device_id, content) = match read {
            Ok(device) => (Some(device.id.clone()), Ok(device)),
            Err(unreadable) => (unreadable.device_id, Err(storable(&unreadable.error))),
        };
        batch.push(Row {
            number: total,
            line: Some(line),
            device_id,
            content,
        });
        if batch.len() == BATCH {
            batches.push((batch[0].number, rows_to_text(&batch)?));
            batch.clear();
        }
    }
    if let Some(first) = batch.first() {
        batches.push((first.number, rows_to_text(&batch)?));
    }
    if total == 0 {
        return Err(Error::field("body", "must have at least one row"));
    }
    Ok(Batches { total, batches })
}

/// An error may show the name of a field as it was sent; PostgreSQL stores no NUL.
fn storable(error: &str) -> String {
    error.replace(char::is_control, "\u{fffd}")
}

fn lines(file: &[u8], row_max: usize) -> impl Iterator<Item = (i64, Read)> {
    let lines = (1..).zip(file.split(|byte| *byte == b'\n'));
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    filled.map(move |(number, line)| {
        let read = match line.len() > row_max {
            true => Err(Unreadable::nameless(too_long(row_max))),
            false => read_line(line),
        };
        (number, read)
    })
}

fn read_line(line: &[u8]) -> Read {
    let value =
        body::parse::<Value>(line).map_err(|error| Unreadable::nameless(error.to_string()))?;
    read_value(value)
}

fn line(device: &NewDevice) -> Value {
    let NewDevice {
        id,
        name,
        description,
        driver,
        labels,
        metadata,
        connections,
    } = device;
    json!({
        "id": id,
        "name": name,
        "description": description,
        "driver": driver,
        "labels": labels,
        "metadata": metadata,
        "connectivity": {"connections": connections},
    })
}

#[cfg(test)]
mod tests;
