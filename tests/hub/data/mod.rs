//! Data tables and what stands in them.

mod aggregate_limits;
mod aggregates;
mod changed_columns;
mod charts;
mod deleted_rows;
pub mod fills;
mod grafana;
mod latest;
mod measurements;
mod pictures;
mod retention;
mod row_exports;
mod row_imports;
mod row_queries;
mod spans;
