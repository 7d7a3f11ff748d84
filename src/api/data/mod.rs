//! Data tables, their rows, and the export of rows as a file.

pub(super) mod columns;
pub(super) mod errors;
pub(super) mod export;
pub(super) mod exports;
pub(super) mod fills;
pub(super) mod filter;
pub(super) mod row_query;
pub(super) mod rows;
pub(super) mod tables;
