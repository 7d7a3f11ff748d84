//! The hub from outside: real server processes, spoken to over HTTPS, on SQLite and PostgreSQL.
//!
//! PostgreSQL is used when `THINGSHUB_TEST_POSTGRES_URL` names a superuser's database
//! (`scripts/with-postgres cargo test` sets it up); each test makes a database of its own. Without it, tests on
//! PostgreSQL fail, unless `THINGSHUB_TEST_WITHOUT_POSTGRES` is set.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

mod access;
mod cli;
mod contract;
mod data;
mod devices;
mod drivers;
mod faults;
mod integrations;
mod live;
mod networks;
mod process;
mod story;
mod support;

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

/// A message of a real network server, as JSON.
fn sample_json(name: &str) -> Value {
    serde_json::from_slice(&sample(name)).unwrap()
}

/// Asks until there is an answer, and gives it; fails when that takes too long.
async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(60), what, probe).await
}

/// Waits for a condition that may take up to `limit`.
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
