//! The composition root: builds the parts, runs them, and stops them in order.
//!
//! | file | what it is |
//! |---|---|
//! | `foundation.rs` | what all parts use: settings, database, keys, workers, connections |
//! | `background.rs` | the parts that work by themselves, behind the requests |
//! | `front.rs` | the entrance of messages and requests |
//! | `accounts.rs` | the users, for commands that work directly on the database |
//! | `metrics_port.rs` | the listener for metrics |
//! | `obstacles.rs` | descriptions of what keeps a hub from starting |
//!
//! Nothing is global. At shutdown the order matters: first no new connections, then the running requests
//! (including those whose clients have gone) and the subscriptions, then the writer, then the current batch
//! of an import and the deliveries and downlinks in progress, then the workers and the database.

mod accounts;
mod background;
mod foundation;
mod front;
mod metrics_port;
mod obstacles;

use std::{future::Future, sync::Arc};

use chrono::TimeDelta;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::http::server::Stopping,
    clock::Plausible,
    codec::Codec,
    config::Config,
    delivery::Handle,
    driver,
    hub::Hub,
    live::Live,
    metrics::Metrics,
    private,
    store::{Lock, Store},
    supervise, tls,
    uplink::{UplinkPath, Writer, writer},
};
pub use accounts::{Account, Accounts, NewAccount};
use background::{Background, Handles};
use foundation::{DatabaseWatch, Foundation, joined, open_vault};
use front::Port;
pub use obstacles::{unopened, unusable_files};

/// Runs the hub until `stop` completes. The error is one line for the operator.
pub async fn serve(
    config: Config,
    worker: driver::Program,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    serve_with(config, worker, stop, writer::run).await
}

/// Runs the hub with another writer of messages, to measure what the usual one costs.
pub async fn serve_with<W>(
    config: Config,
    worker: driver::Program,
    stop: impl Future<Output = ()>,
    write: impl FnOnce(Store, mpsc::Receiver<writer::Job>, Handle, Metrics) -> W,
) -> Result<(), String>
where
    W: Future<Output = ()> + Send + 'static,
{
    // Must come first: without a handler, SIGHUP would end the process.
    let hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    let config = Arc::new(config);
    // The lock is held until everything that uses the database has ended.
    let (_lock, store) = open_store(&config).await?;
    let vault = open_vault(&config, &store).await?;
    let (tls, certificate) = tls::open(&config)?;
    let watch = DatabaseWatch::begin(store.clone());
    let foundation = Foundation::lay(config, store, vault, worker).await?;
    let port = Port::bind("listen", foundation.config.listen).await?;
    let metrics_port = metrics_port::bind(&foundation.config).await?;
    let address = port.address;

    let (background, handles) = Background::build(&foundation)?;
    let wake = handles.wake.clone();
    let stopping = Stopping::default();
    let hub = hub(&foundation, handles, &stopping, certificate.health());
    greet(&hub).await?;

    let metrics = foundation.metrics.clone();
    let (writer, jobs) = Writer::new(foundation.config.uplink_queue_max, metrics.clone());
    // If the writer breaks, messages in its queue are lost; their senders get no acknowledgement and send
    // them again after the hub restarts.
    let broken = CancellationToken::new();
    let writing = write(foundation.store.clone(), jobs, wake, metrics);
    let writing = supervise::spawn_vital("writer", broken.clone(), writing);
    let background = background.run();
    let uplinks = uplink_path(&foundation, writer);
    let stop_accepting = stopping.begun.clone();
    let metrics_port =
        metrics_port.map(|port| metrics_port::open(&foundation, hub.clone(), port, tls.clone()));
    let front = front::open(&foundation, hub, uplinks, port, tls, stopping);
    // Cannot be restarted by supervision because it owns the signal; it catches panics of a single check
    // itself.
    let watching_certificate = certificate.run(hangup, stop_accepting);
    supervise::spawn_vital(
        "watch over the certificate",
        broken.clone(),
        watching_certificate,
    );
    println!("thingshub listens on https://{address} (documentation: https://{address}/docs)");
    inform_systemd(NotifyState::Ready);
    tokio::select! {
        () = stop => {}
        () = broken.cancelled() => {}
    }

    inform_systemd(NotifyState::Stopping);
    tracing::info!("stopping: no new connections");
    front.close().await?;
    joined("the writer", writing).await?;
    let sent = background.end().await?;
    if let Some(metrics_port) = metrics_port {
        metrics_port.close().await?;
    }
    foundation.publishers.close().await;
    foundation.drivers.shutdown().await;
    watch.end().await?;
    foundation
        .store
        .close()
        .await
        .map_err(|error| error.causes())?;
    sent.map_err(|error| error.causes())?;
    if broken.is_cancelled() {
        return Err("a task broke; the log says which".to_owned());
    }
    tracing::info!("stopped");
    Ok(())
}

/// The hub over its parts.
fn hub(
    foundation: &Foundation,
    handles: Handles,
    stopping: &Stopping,
    certificate: tls::Health,
) -> Hub {
    Hub::new(
        foundation.store.clone(),
        foundation.config.clone(),
        foundation.drivers.clone(),
        foundation.vault.clone(),
        handles.wake,
        handles.imports,
        handles.row_imports,
        handles.replays,
        handles.fills,
        Live::new(
            &foundation.config,
            foundation.metrics.clone(),
            stopping.begun.clone(),
        ),
        foundation.guard.clone(),
        foundation.metrics.clone(),
        certificate,
    )
}

/// Informs systemd, which then starts what waits for the hub. Does nothing if systemd did not start the hub.
fn inform_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be informed");
    }
}

/// Creates the first administrator if the hub has none, and prints the generated password.
async fn greet(hub: &Hub) -> Result<(), String> {
    if let Some(password) = hub.first_run().await.map_err(|error| error.causes())? {
        println!(
            "The first administrator is \"admin\" with the password {password} (shown only now)"
        );
    }
    Ok(())
}

/// The path of uplinks, which ends at the writer.
fn uplink_path(foundation: &Foundation, writer: Writer) -> UplinkPath {
    let Foundation {
        store,
        vault,
        drivers,
        config,
        metrics,
        ..
    } = foundation;
    let plausible = Plausible {
        ahead_max: TimeDelta::seconds(i64::from(config.time_ahead_max_s)),
    };
    let codec = Codec::new(drivers.clone(), config.driver_state_bytes, plausible);
    UplinkPath::new(
        store.clone(),
        vault.clone(),
        codec,
        plausible,
        writer,
        metrics.clone(),
    )
}

/// Creates the folder of the hub's own files and restricts it to the hub's user.
fn prepare_folder(config: &Config) -> Result<(), String> {
    let folder = &config.data_dir;
    private::folder(folder)
        .map_err(|error| format!("setting data_dir: {}: {error}", folder.display()))?;
    let is_ours =
        |name: &str| name == "tls" || name == "secret.key" || name.starts_with("thingshub.db");
    private::tighten_folder(folder, is_ours);
    for path in ["secret.key", "tls", "tls/key.pem", "tls/cert.pem"] {
        private::tighten(&folder.join(path));
    }
    Ok(())
}

/// Prepares the folder of the hub's own files, and locks the database.
pub fn lock(config: &Config) -> Result<Lock, String> {
    prepare_folder(config)?;
    Lock::take(config)
}

/// Opens the database together with the lock that schema changes need. The error is one line.
pub async fn open_store(config: &Config) -> Result<(Lock, Store), String> {
    let lock = lock(config)?;
    let store = Store::open(config).await;
    match store {
        Ok(store) => Ok((lock, store)),
        Err(error) => Err(unopened(config, &error).await),
    }
}
