//! Cells, rows, and the digest of a table.

use std::fmt;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::canonical;

/// A value of a row, the same on both databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Null,
    Integer(i64),
    Boolean(bool),
    Text(String),
    /// JSON as text.
    Json(String),
    Bytes(Vec<u8>),
    Uuid(Uuid),
    /// Microseconds since 1970.
    Time(i64),
}

/// A row, in the order of the table's columns.
pub type Row = Vec<Cell>;

/// Appends a row in the form of backups.
pub fn write_row(row: &[Cell], out: &mut Vec<u8>) {
    for cell in row {
        write(cell, out, |text, out| with_length(4, text.as_bytes(), out));
    }
}

fn write(cell: &Cell, out: &mut Vec<u8>, json: impl Fn(&str, &mut Vec<u8>)) {
    match cell {
        Cell::Null => out.push(0),
        Cell::Integer(value) => tagged(1, &value.to_le_bytes(), out),
        Cell::Boolean(value) => tagged(2, &[u8::from(*value)], out),
        Cell::Text(value) => with_length(3, value.as_bytes(), out),
        Cell::Json(value) => json(value, out),
        Cell::Bytes(value) => with_length(5, value, out),
        Cell::Uuid(value) => tagged(6, value.as_bytes(), out),
        Cell::Time(value) => tagged(7, &value.to_le_bytes(), out),
    }
}

fn tagged(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn with_length(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    // No database has values of 4 GiB.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    tagged(tag, &length.to_le_bytes(), out);
    out.extend_from_slice(bytes);
}

/// Reads a row that [`write_row`] has written; `None` if it is damaged.
pub fn read_row(mut bytes: &[u8]) -> Option<Row> {
    let mut row = Row::new();
    while let Some((tag, rest)) = bytes.split_first() {
        bytes = rest;
        row.push(match tag {
            0 => Cell::Null,
            1 => Cell::Integer(i64::from_le_bytes(*take(&mut bytes)?)),
            2 => Cell::Boolean(take::<1>(&mut bytes)?[0] != 0),
            3 => Cell::Text(String::from_utf8(measured(&mut bytes)?.to_vec()).ok()?),
            4 => Cell::Json(String::from_utf8(measured(&mut bytes)?.to_vec()).ok()?),
            5 => Cell::Bytes(measured(&mut bytes)?.to_vec()),
            6 => Cell::Uuid(Uuid::from_bytes(*take(&mut bytes)?)),
            7 => Cell::Time(i64::from_le_bytes(*take(&mut bytes)?)),
            _ => return None,
        });
    }
    Some(row)
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}

fn measured<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(*take(bytes)?);
    let (value, rest) = bytes.split_at_checked(length.try_into().ok()?)?;
    *bytes = rest;
    Some(value)
}

/// Number of rows of a table and their digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Number of rows.
    pub rows: u64,
    /// Digest of the rows.
    pub digest: [u8; 32],
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} rows, {}",
            self.rows,
            hex::encode(self.digest)
        )
    }
}

/// Digest of a table: the sum of the SHA-256 digests of its rows, which does not depend on their order. Rows can
/// therefore be read in the order in which a database stores them.
#[derive(Debug, Default)]
pub struct Digest {
    rows: u64,
    sum: [u64; 4],
    buffer: Vec<u8>,
}

impl Digest {
    /// Adds a row. JSON that cannot be read counts as its text.
    pub fn add(&mut self, row: &[Cell]) {
        self.buffer.clear();
        for cell in row {
            write(
                cell,
                &mut self.buffer,
                |text, out| match serde_json::from_str(text) {
                    Ok(value) => {
                        out.push(4);
                        canonical::write(&value, out);
                        out.push(b';');
                    }
                    Err(_) => with_length(8, text.as_bytes(), out),
                },
            );
        }
        let digest: [u8; 32] = Sha256::digest(&self.buffer).into();
        let mut carry = false;
        for (sum, bytes) in self.sum.iter_mut().zip(digest.as_chunks::<8>().0) {
            let (added, first) = sum.overflowing_add(u64::from_le_bytes(*bytes));
            let (added, second) = added.overflowing_add(u64::from(carry));
            *sum = added;
            carry = first || second;
        }
        self.rows += 1;
    }

    /// Returns the summary of all rows that were added.
    pub fn summary(&self) -> Summary {
        let mut digest = [0; 32];
        for (bytes, sum) in digest.as_chunks_mut::<8>().0.iter_mut().zip(self.sum) {
            *bytes = sum.to_le_bytes();
        }
        Summary {
            rows: self.rows,
            digest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        vec![
            Cell::Null,
            Cell::Integer(-5),
            Cell::Boolean(true),
            Cell::Text("ü".into()),
            Cell::Json(r#"{"b":1,"a":2.0}"#.into()),
            Cell::Bytes(vec![0, 255]),
            Cell::Uuid(Uuid::from_u128(7)),
            Cell::Time(1_700_000_000_000_001),
        ]
    }

    fn summary(rows: &[Row]) -> Summary {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(row));
        digest.summary()
    }

    #[test]
    fn a_row_reads_as_it_was_written() {
        let mut written = Vec::new();
        write_row(&row(), &mut written);
        assert_eq!(read_row(&written), Some(row()));
        for length in 1..written.len() {
            assert_ne!(read_row(&written[..length]), Some(row()), "{length}");
        }
    }

    #[test]
    fn a_digest_depends_on_the_rows_and_not_on_their_order() {
        let other = vec![Cell::Integer(1)];
        let both = summary(&[row(), other.clone()]);
        assert_eq!(both, summary(&[other.clone(), row()]));
        assert_ne!(both, summary(&[row(), row()]));
        assert_ne!(both.digest, summary(&[other]).digest);
        let mut turned = row();
        turned[4] = Cell::Json(r#"{"a": 2, "b": 1}"#.into());
        assert_eq!(summary(&[turned]), summary(&[row()]));
    }
}
