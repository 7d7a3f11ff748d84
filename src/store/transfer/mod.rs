//! Whole databases, read and written table by table: for backups, restores, and copies between the two kinds.
//!
//! A row is the same sequence of cells on SQLite and on PostgreSQL, and has the same digest. The tables are those
//! that the migrations create (`blueprint.rs`), so that no list has to be kept up to date and databases of earlier
//! versions can be read and written as well.
//!
//! | file | contents |
//! |---|---|
//! | `blueprint.rs` | the tables at a level of the schema, in the order of their references |
//! | `cell.rs` | cells, rows, and the digest of a table |
//! | `canonical.rs` | the form of JSON that is equal on both databases |
//! | `source.rs` | reads all tables in one snapshot |
//! | `target.rs` | an empty database that is being filled, and says so until it is complete |
//! | `insert.rs` | inserts rows |
//! | `inspect.rs` | looks for damage and for orphaned rows |

mod blueprint;
mod canonical;
mod cell;
mod insert;
mod inspect;
mod source;
mod target;

pub use blueprint::{Blueprint, Kind, Table};
pub use cell::{Cell, Digest, Row, Summary, read_row, write_row};
pub use source::Source;
pub use target::{Found, Purpose, Target};
