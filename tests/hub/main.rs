//! The hub from outside: real server processes, spoken to over HTTPS, on SQLite and PostgreSQL.
//!
//! PostgreSQL is used when `THINGSHUB_TEST_POSTGRES_URL` names a superuser's database
//! (`scripts/with-postgres cargo test` sets it up); each test makes a database of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

mod apart;
mod broker;
mod cluster;
mod database;
mod disk;
mod fake_kafka;
mod fake_postgres;
mod frames;
mod network_server;
mod raw;
mod server;
mod silence;
mod sink;

mod access;
mod bad_drivers;
mod bad_input;
mod bound_secrets;
mod bulk;
mod certificates;
mod changes;
mod client;
mod clocks;
mod collections;
mod concurrent_changes;
mod connection_test;
mod connections;
mod contract;
mod copies;
mod cut_requests;
mod data_folder;
mod deliveries;
mod delivery_lanes;
mod delivery_rules;
mod desired_state;
mod downlink_sending;
mod downlink_templates;
mod downlinks;
mod drift;
mod driver_agreement;
mod driver_archives;
mod driver_calls;
mod driver_command;
mod driver_data;
mod driver_examples;
mod driver_host;
mod driver_redecode;
mod driver_registry_command;
mod driver_rewrite;
mod driver_tryout;
mod driver_upgrade;
mod drivers;
mod exports;
mod extremes;
mod fair_share;
mod faults;
mod full_disk;
mod guesses;
mod headers;
mod histories;
mod hostile_postgres;
mod hostile_targets;
mod interleaved;
mod interleaved_downlinks;
mod kafka;
mod kept_connections;
mod kept_secrets;
mod limits;
mod lists;
mod live;
mod lock_order;
mod long_queues;
mod measurements;
mod mqtt;
mod mqtt_downlinks;
mod mqtt_faults;
mod network_cases;
mod network_news;
mod networks;
mod operators;
mod outage;
mod outgoing_bounds;
mod paging;
mod permissions;
mod plans;
mod process;
mod refused_messages;
mod removals;
mod replay_faults;
mod replicas;
mod requests;
mod rules;
mod sandbox;
mod secret_keys;
mod shared_fate;
mod shares;
mod sheets;
mod sigfox_answers;
mod story;
mod target_file;
mod target_forms;
mod target_guard;
mod target_http;
mod target_kafka;
mod target_postgres;
mod target_tls;
mod target_websocket;
mod tenants;
mod user_names;
mod webhook_forms;
mod workers;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A message of a real network server.
fn sample(name: &str) -> Vec<u8> {
    std::fs::read(repository("tests/uplinks").join(name)).unwrap()
}

/// The same, read.
fn sample_json(name: &str) -> Value {
    serde_json::from_slice(&sample(name)).unwrap()
}

/// Asks until there is an answer, and gives it; fails when that takes too long.
async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(20), what, probe).await
}

/// The same for what may take that long.
async fn eventually_within<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Running processes whose command starts with this, as an administrator would find them.
fn processes_named(name: &str) -> Vec<nix::unistd::Pid> {
    let processes = std::fs::read_dir("/proc").expect("Linux");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.starts_with(name.as_bytes())
        })
        .map(nix::unistd::Pid::from_raw)
        .collect()
}
