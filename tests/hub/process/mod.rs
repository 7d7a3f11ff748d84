//! The process and its surroundings: files, clocks, keys, other hubs on the database.

mod backups;
mod bound_secrets;
mod bounds;
mod certificates;
pub mod clocks;
mod data_folder;
mod database_time;
mod first_start;
mod json_logs;
mod kept_secrets;
mod life;
mod metrics;
mod metrics_pages;
mod old_jobs;
mod old_uplinks;
mod outgoing_bounds;
mod partitions;
mod plans;
mod readme;
mod replicas;
pub mod retention;
mod secret_keys;
mod traces;
