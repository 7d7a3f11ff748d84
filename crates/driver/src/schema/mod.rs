//! A driver's schema: what its data look like, told before the first uplink.
//!
//! Versions 1, 2 and 2.1 of the public driver SDK's form, as JSON or YAML. All three list properties
//! with type, unit and description; 2 and 2.1 are closed: a field that is not listed is an error.
//! Every field is optional in all of them. What the public sources leave open is decided in
//! `docs/driver-schema.md`.
//!
//! Pure: text in, answers out, nothing is read or written. Whatever the text, reading it costs no
//! more than the bounds allow.
//!
//! | file | what it holds |
//! |---|---|
//! | `bounds.rs`, `error.rs` | how large a schema may be, and why one is refused |
//! | `document.rs` | text to JSON, within bounds, whatever the text |
//! | `read.rs` | JSON to properties, or the place where it is wrong |
//! | `tree.rs` | the schema: its version, and its properties in one another |
//! | `types.rs` | the types of single values, their names, and which values they admit |
//! | `check.rs` | whether data obey the schema |
//! | `listing.rs` | what the schema tells: columns, what can be configured, defaults |

mod bounds;
mod check;
mod document;
mod error;
mod listing;
mod read;
#[cfg(test)]
mod tests;
mod tree;
mod types;

pub use check::Violation;
pub use error::SchemaError;
pub use listing::Column;
pub use tree::{Schema, Version};
pub use types::ColumnKind;
