//! Data tables and what stands in them.

mod aggregate_limits;
mod aggregates;
mod charts;
mod deleted_rows;
mod fills;
mod grafana;
mod latest;
mod measurements;
mod retention;
mod rollups;
mod row_exports;
mod row_queries;
mod spans;
