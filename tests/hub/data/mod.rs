//! Data tables and what stands in them.

mod aggregate_limits;
mod aggregates;
mod charts;
mod deleted_rows;
mod grafana;
mod latest;
mod measurements;
mod retention;
