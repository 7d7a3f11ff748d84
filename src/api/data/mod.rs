//! Data tables, their rows, and the export of rows as a file.

pub(super) mod aggregate;
pub(super) mod chart;
pub(super) mod columns;
mod drawing;
pub(super) mod errors;
pub(super) mod export;
mod figure;
pub(super) mod latest;
pub(super) mod parameters;
pub(super) mod rows;
pub(super) mod tables;
