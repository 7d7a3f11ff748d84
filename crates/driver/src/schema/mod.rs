//! A driver's schema, which describes its data before the first uplink.
//!
//! Versions 1, 2 and 2.1 of the public driver SDK's form, as JSON or YAML. All three list properties
//! with type, unit and description; 2 and 2.1 are closed: a field that is not listed is an error.
//! Every field is optional in all of them. What the public sources leave open is decided in
//! `docs/driver-schema.md`.
//!
//! Pure: it performs no I/O. The cost of parsing is limited, whatever the text.
//!
//! | file | what it holds |
//! |---|---|
//! | `bounds.rs`, `error.rs` | limits on schemas, and the errors of rejected ones |
//! | `document.rs` | parses text to JSON, within limits |
//! | `read.rs` | parses JSON to properties, or reports the place of an error |
//! | `tree.rs` | the schema: its version and its nested properties |
//! | `types.rs` | the types of single values, their names, and which values they admit |
//! | `check.rs` | the validation of data |
//! | `listing.rs` | columns, configurable properties, and defaults |

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
