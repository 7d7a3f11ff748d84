//! Data tables, their rows, and rows as files.

pub(super) mod aggregate;
pub(super) mod chart;
mod chosen_rows;
pub(super) mod columns;
mod drawing;
pub(super) mod errors;
pub(super) mod export;
pub(super) mod exports;
mod figure;
pub(super) mod fills;
pub(super) mod filter;
pub(super) mod import;
pub(super) mod imports;
pub(super) mod latest;
pub(super) mod parameters;
pub(super) mod row_query;
pub(super) mod rows;
pub(super) mod tables;
