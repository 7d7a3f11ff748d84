//! The parts of a backup's gzip stream, each with its tag in front.

use crate::store::transfer::Summary;

/// A row: its length, and its cells.
pub const ROW: u8 = b'R';
/// The end of a table: the number of its rows, and their digest.
pub const END_OF_TABLE: u8 = b'E';
/// JSON: the last numbers that the database has given.
pub const NUMBERS: u8 = b'N';
/// Keys of sealed secrets, as in the file of keys.
pub const KEYS: u8 = b'K';
/// The end of the backup.
pub const END: u8 = b'Z';
/// Maximum length of a part: no row is as large.
pub const BYTES_MAX: u32 = 1 << 30;

/// Fails if a table that was read differs from its source.
pub fn compare(table: &str, source: &Summary, read: &Summary) -> Result<(), String> {
    match source == read {
        true => Ok(()),
        false => Err(format!(
            "table {table} differs from its source: {read} instead of {source}"
        )),
    }
}
