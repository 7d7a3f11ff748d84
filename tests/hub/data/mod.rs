//! Data tables and what stands in them.

mod aggregate_limits;
mod aggregates;
mod charts;
mod deleted_rows;
mod export_s3;
mod export_sftp;
mod exports;
mod fills;
mod grafana;
mod latest;
mod measurements;
mod retention;
mod row_exports;
mod row_queries;
mod spans;
