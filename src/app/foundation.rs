//! The resources that all components of the hub share.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    driver::{self, Limits},
    hub::monitor,
    keyring,
    metrics::Metrics,
    mqtt::Publishers,
    outgoing::Guard,
    secret::Vault,
    store::Store,
    supervise,
};

/// The resources that all components use. Each takes clones.
pub struct Foundation {
    /// The settings.
    pub config: Arc<Config>,
    /// The database.
    pub store: Store,
    /// The keys of the sealed values in the database.
    pub vault: Vault,
    /// The workers that run drivers.
    pub drivers: driver::Host,
    /// The guard of connections that the hub makes for users.
    pub guard: Guard,
    /// The connections to brokers.
    pub publishers: Publishers,
    /// Metrics for operators.
    pub metrics: Metrics,
}

/// The task that monitors whether the database accepts writes.
pub struct DatabaseWatch {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Foundation {
    /// Starts the driver workers and builds the shared resources.
    pub async fn lay(
        config: Arc<Config>,
        store: Store,
        vault: Vault,
        worker: driver::Program,
    ) -> Result<Self, String> {
        let metrics = monitor::metrics();
        let observer = metrics.drivers.clone();
        let drivers = driver::Host::start_observed(worker, limits(&config), observer)
            .await
            .map_err(|error| format!("the driver workers do not start: {error}"))?;
        let guard = Guard::new(config.outgoing_allow.0.clone());
        Ok(Self {
            publishers: Publishers::new(guard.clone()),
            config,
            store,
            vault,
            drivers,
            guard,
            metrics,
        })
    }
}

impl DatabaseWatch {
    /// Starts the task.
    pub fn begin(store: Store) -> Self {
        let stop = CancellationToken::new();
        let watching = (store, stop.clone());
        let task = supervise::spawn("watch over the database", watching, |(store, stop)| {
            store.clone().watch(stop.clone()).boxed()
        });
        Self { stop, task }
    }

    /// Stops the task.
    pub async fn end(self) -> Result<(), String> {
        self.stop.cancel();
        joined("the watch over the database", self.task).await
    }
}

/// Opens the vault. The database is closed again if its keys are missing.
pub async fn open_vault(config: &Config, store: &Store) -> Result<Vault, String> {
    let opened = keyring::open(config, store).await;
    if opened.is_err() {
        let _ = store.close().await;
    }
    opened
}

/// Waits for a task to end.
pub async fn joined<T>(name: &str, task: JoinHandle<T>) -> Result<T, String> {
    task.await.map_err(|error| format!("{name} broke: {error}"))
}

fn limits(config: &Config) -> Limits {
    Limits {
        workers: config.driver_workers,
        cpu_time_ms: config.driver_cpu_time_ms,
        wall_time_ms: config.driver_wall_time_ms,
        memory_bytes: config.driver_memory_bytes,
        stack_bytes: config.driver_stack_bytes,
        output_bytes: config.driver_output_bytes,
        log_lines: config.driver_log_lines,
        pending_jobs: config.driver_pending_jobs_max,
        queue: config.driver_queue_max,
        tenant_queue: config.driver_tenant_queue_max,
        sandbox_required: config.driver_sandbox_required,
    }
}
