//! The process and its surroundings: files, clocks, keys, other hubs on the database.

mod backups;
mod bound_secrets;
mod bounds;
mod certificates;
mod clocks;
mod data_folder;
mod database_time;
mod first_start;
mod json_logs;
mod kept_secrets;
mod life;
mod metrics;
mod outgoing_bounds;
mod partitions;
mod plans;
mod readme;
mod replicas;
mod retention;
mod secret_keys;
mod traces;
