//! Integrations: their deliveries, each type of target, and the servers behind them.

mod attempts;
mod backlogs;
mod deliveries;
mod events;
mod hostile_postgres;
mod hostile_targets;
mod kept_connections;
mod lanes;
mod leases;
mod long_queues;
mod messages;
mod replay_faults;
mod replays;
pub mod rules;
mod statuses;
mod target_file;
mod target_forms;
mod target_guard;
mod target_http;
mod target_kafka;
mod target_postgres;
mod target_tls;
mod target_websocket;
