//! Rows as lines of JSON, each the object that a list of rows has.

use serde_json::Value;

use super::row::{Fields, Read, Unreadable};
use crate::api::http::{csv_records::too_long, json};

/// Returns the rows with their line numbers. Empty lines are skipped.
pub fn rows<'a>(
    file: &'a [u8],
    fields: &'a Fields<'a>,
    row_max: usize,
) -> impl Iterator<Item = (i64, Read)> + 'a {
    let lines = (1..).zip(file.split(|byte| *byte == b'\n'));
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    filled.map(move |(number, line)| {
        if line.len() > row_max {
            return (number, Err(Unreadable::nameless(too_long(row_max))));
        }
        let row = json::parse::<Value>(line);
        let row = row.map_err(|error| Unreadable::nameless(error.to_string()));
        (number, row.and_then(|row| fields.read(row)))
    })
}
