//! Data tables: the resource and its rows, and all rows as a file.

pub(super) mod export;
pub(super) mod tables;
