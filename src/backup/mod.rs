//! Backups of the whole database, restores, copies to another database, and checks.
//!
//! | file | contents |
//! |---|---|
//! | `header.rs` | the readable beginning of a backup |
//! | `writer.rs`, `reader.rs` | the file of a backup |
//! | `make.rs`, `restore.rs`, `copy.rs`, `check.rs` | the commands |
//!
//! A backup is one file: two lines of text (the format's name, and the header as JSON), a gzip stream of rows, and
//! the SHA-256 digest of everything before it. It is the same for both databases. Errors are one line for the
//! operator.

mod check;
mod copy;
mod header;
mod make;
mod reader;
mod restore;
mod writer;

pub use check::{Checked, check};
pub use copy::copy;
pub use make::back_up;
pub use restore::restore;

use crate::store::transfer::Summary;

/// Frames of the gzip stream.
mod frame {
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
    /// Maximum length of a frame: no row is as large.
    pub const BYTES_MAX: u32 = 1 << 30;
}

/// Fails if a table that was read back differs from its source.
fn compare(table: &str, source: &Summary, target: &Summary) -> Result<(), String> {
    match source == target {
        true => Ok(()),
        false => Err(format!(
            "table {table} differs from its source: {target} instead of {source}"
        )),
    }
}
