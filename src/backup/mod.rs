//! Backups of the whole database, restores, copies to another database, and checks.
//!
//! | file | contents |
//! |---|---|
//! | `header.rs` | the readable beginning of a backup |
//! | `parts.rs`, `writer.rs`, `reader.rs` | the file of a backup: its parts, writing and reading them |
//! | `make.rs`, `restore.rs`, `copy.rs`, `check.rs` | the commands |
//!
//! A backup is one file: two lines of text (the format's name, and the header as JSON), a gzip stream of rows, and
//! the SHA-256 digest of everything before it. It is the same for both databases. Errors are one line for the
//! operator.

mod check;
mod copy;
mod header;
mod make;
mod parts;
mod reader;
mod restore;
mod writer;

pub use check::{Checked, check};
pub use copy::copy;
pub use make::back_up;
pub use restore::restore;
