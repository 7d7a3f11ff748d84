//! Data tables: the resource and its rows, and all rows as a file.

pub(super) mod columns;
pub(super) mod export;
pub(super) mod rows;
pub(super) mod tables;
