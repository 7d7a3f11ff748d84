//! Files of devices in CSV and NDJSON, read by an import and written by an export.
//!
//! Each row is converted to a body of `POST /devices` and obeys the same rules. An error affects only its own
//! row.

use encoding_rs::Encoding;
use serde_json::{Value, json};

use crate::{
    api::{
        devices::{
            csv,
            row::{Read, Unreadable, read_value},
        },
        http::{csv_records::too_long, file_encoding::decode, json, sheet_file::Format},
    },
    error::{Error, Reason},
    store::devices::{
        NewDevice,
        imports::{Row, rows_to_text},
    },
};

/// Maximum number of rows of an import.
pub const ROWS_MAX: i64 = 1_000_000;
/// Number of rows that are stored together; a transaction processes one or more such batches.
const BATCH: usize = 32;

/// Rows of a file.
pub struct Rows {
    /// Number of rows.
    pub total: i64,
    /// Rows in batches, each with the number of its first row.
    pub batches: Vec<(i64, String)>,
    /// Encoding of the file.
    pub encoding: String,
    /// Delimiter of cells; `None` for NDJSON.
    pub delimiter: Option<char>,
}

impl Format {
    /// Reads a file in the encoding `told`, or in the detected one. A row may have at most `row_max` bytes.
    /// Fails only for errors of the whole file; a broken row becomes a failed row.
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

    /// Returns the beginning of a file: the header line of CSV.
    pub fn head(self) -> String {
        match self {
            Format::Csv => csv::COLUMNS.join(",") + "\n",
            Format::Ndjson => String::new(),
        }
    }

    /// Returns the rows of devices as text.
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

/// Collects the rows, which come with their line numbers, into batches.
fn gather(rows: impl Iterator<Item = (i64, Read)>) -> Result<Batches, Error> {
    let mut total = 0;
    let mut batches = Vec::new();
    let mut batch = Vec::with_capacity(BATCH);
    for (line, read) in rows {
        total += 1;
        if total > ROWS_MAX {
            return Err(Error::of_field(
                Reason::TooLarge,
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

/// Replaces control characters, because an error may contain a field name of the client and PostgreSQL stores
/// no NUL.
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
        json::parse::<Value>(line).map_err(|error| Unreadable::nameless(error.to_string()))?;
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
