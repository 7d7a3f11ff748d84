//! Data tables and what stands in them.

mod aggregate_limits;
mod aggregates;
mod changed_columns;
mod charts;
mod column_names;
mod deleted_rows;
mod export_files;
mod export_s3;
mod export_sftp;
mod exports;
pub mod fills;
mod grafana;
mod hostile_sftp;
mod large_rows;
mod latest;
mod measurements;
mod pictures;
mod retention;
mod rollup_totals;
pub mod rollups;
mod row_exports;
pub mod row_imports;
mod row_queries;
mod spans;
