//! Data tables and what stands in them.

mod deleted_rows;
mod fills;
mod measurements;
mod retention;
mod row_exports;
mod row_queries;
mod spans;
