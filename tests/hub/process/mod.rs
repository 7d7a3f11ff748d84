//! The process and its surroundings: files, clocks, keys, other hubs on the database.

mod backups;
mod bound_secrets;
mod certificates;
mod clocks;
mod data_folder;
mod kept_secrets;
mod life;
mod metrics;
mod outgoing_bounds;
mod partitions;
mod plans;
mod replicas;
mod retention;
mod secret_keys;
mod traces;
