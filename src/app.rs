//! The composition root: builds the parts, runs them, and stops them in order.
//!
//! Nothing is global. At shutdown the order matters: no new connections, then the requests that run
//! and the subscriptions, then the writer, then the batch of an import, the deliveries and the
//! downlinks under way, then the workers and the database.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use poem::Server;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, listener::SniffingAcceptor},
    config::{Config, Secret},
    delivery::{Engine, Wake},
    downlink,
    driver::{self, Limits},
    hub::{Hub, device_import::Importer, recovery},
    live::Live,
    mqtt::Publishers,
    outgoing::Guard,
    secret::{Keys, Vault},
    store::Store,
    tls,
    uplink::{Replayer, Subscriber, UplinkPath, Writer, writer},
};

/// Longest time between requests on one connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Runs the hub until `stop` completes. The error is one line for the operator.
pub async fn serve(
    config: Config,
    worker: PathBuf,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    serve_with(config, worker, stop, writer::run).await
}

/// Runs the hub with another way to write messages down, for measuring what the usual one costs.
pub async fn serve_with<W>(
    config: Config,
    worker: PathBuf,
    stop: impl Future<Output = ()>,
    write: impl FnOnce(Store, mpsc::Receiver<writer::Job>, Wake) -> W,
) -> Result<(), String>
where
    W: Future<Output = ()> + Send + 'static,
{
    let config = Arc::new(config);
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|error| format!("setting data_dir: {}: {error}", config.data_dir.display()))?;
    let tls = tls::acceptor(&config)?;
    let vault = vault(&config, true)?;
    let store = Store::open(&config)
        .await
        .map_err(|error| format!("setting database_url: {}", error.causes()))?;
    let drivers = driver::Host::start(worker, limits(&config))
        .await
        .map_err(|error| format!("the driver workers do not start: {error}"))?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("setting listen: {}: {error}", config.listen))?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("setting listen: {error}"))?;

    let guard = Guard::new(config.outgoing_allow.clone());
    let publishers = Publishers::new(guard.clone());
    let (engine, wake) = Engine::new(
        store.clone(),
        vault.clone(),
        config.clone(),
        guard.clone(),
        publishers.clone(),
    )
    .map_err(|error| error.causes())?;
    let (importer, imports) = Importer::new(store.clone());
    let (replayer, replays) = Replayer::new(store.clone(), wake.clone());
    let downlinks = downlink::Engine::new(
        store.clone(),
        vault.clone(),
        config.clone(),
        publishers.clone(),
    );
    let stop_accepting = CancellationToken::new();
    let hub = Hub::new(
        store.clone(),
        config.clone(),
        drivers.clone(),
        vault.clone(),
        wake.clone(),
        imports,
        replays,
        Live::new(config.live_streams_max, stop_accepting.clone()),
    );
    if let Some(password) = hub.first_run().await.map_err(|error| error.causes())? {
        println!(
            "The first administrator is \"admin\" with the password {password} (shown only now)"
        );
    }
    let (writer, jobs) = Writer::new(config.uplink_queue_max);
    let writing = tokio::spawn(write(store.clone(), jobs, wake.clone()));
    let engine_stop = CancellationToken::new();
    let delivering = tokio::spawn(engine.run(engine_stop.clone()));
    let downlinking = tokio::spawn(downlinks.run(engine_stop.clone()));
    let importing = tokio::spawn(importer.run(engine_stop.clone()));
    let replaying = tokio::spawn(replayer.run(engine_stop.clone()));
    let uplinks = UplinkPath::new(
        store.clone(),
        vault.clone(),
        drivers.clone(),
        config.driver_state_bytes,
        writer,
    );
    let endpoint = api::endpoint(hub, &uplinks);
    let subscriber = Subscriber::new(store.clone(), vault, guard, uplinks);
    let subscribing = tokio::spawn(subscriber.run(stop_accepting.clone()));

    let (acceptor, accepting) = SniffingAcceptor::new(
        listener,
        tls,
        config.connections_max,
        stop_accepting.clone(),
    )
    .map_err(|error| format!("setting listen: {error}"))?;
    let accepting = tokio::spawn(accepting);
    println!("thingshub listens on https://{address} (documentation: https://{address}/docs)");
    let signal = async {
        stop.await;
        tracing::info!("stopping: no new connections");
        stop_accepting.cancel();
    };
    let outcome = Server::new_with_acceptor(acceptor)
        .name("thingshub")
        .idle_timeout(IDLE_TIMEOUT)
        .run_with_graceful_shutdown(
            endpoint,
            signal,
            Some(Duration::from_secs(config.shutdown_timeout_s)),
        )
        .await;

    // The server has dropped every handle of the writer: it ends when all is written.
    let _ = accepting.await;
    subscribing
        .await
        .map_err(|error| format!("the subscriptions broke: {error}"))?;
    writing
        .await
        .map_err(|error| format!("the writer broke: {error}"))?;
    engine_stop.cancel();
    importing
        .await
        .map_err(|error| format!("the importer broke: {error}"))?;
    replaying
        .await
        .map_err(|error| format!("the replayer broke: {error}"))?;
    delivering
        .await
        .map_err(|error| format!("the delivery engine broke: {error}"))?
        .map_err(|error| error.causes())?;
    downlinking
        .await
        .map_err(|error| format!("the downlinks broke: {error}"))?
        .map_err(|error| error.causes())?;
    publishers.close().await;
    drivers.shutdown().await;
    store.close().await.map_err(|error| error.causes())?;
    tracing::info!("stopped");
    outcome.map_err(|error| format!("the server broke: {error}"))
}

/// Gives a user another password, on the data itself; answers the user's name.
pub async fn reset_password(
    config: &Config,
    username: &str,
    password: &str,
) -> Result<String, String> {
    let store = Store::open(config)
        .await
        .map_err(|error| format!("setting database_url: {}", error.causes()))?;
    let reset = recovery::reset_password(&store, username, password).await;
    let closed = store.close().await;
    let user = reset.map_err(|error| error.causes())?;
    closed.map_err(|error| error.causes())?;
    Ok(user.username)
}

/// The vault that the settings tell of. `make`: where they name no keys, one is made at the first start.
pub fn vault(config: &Config, make: bool) -> Result<Vault, String> {
    if let Some(Secret(keys)) = &config.secret_key {
        let keys = Keys::parse(keys).map_err(|error| format!("setting secret_key: {error}"))?;
        return Ok(Vault::with(keys));
    }
    let (setting, file, make) = match &config.secret_key_file {
        Some(file) => ("secret_key_file", file.clone(), false),
        None => ("data_dir", config.data_dir.join("secret.key"), make),
    };
    Vault::open(&file, make)
        .map_err(|error| format!("setting {setting}: {}: {error}", file.display()))
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
