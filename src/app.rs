//! The composition root: builds the parts, runs them, and stops them in order.
//!
//! Nothing is global. At shutdown the order matters: no new connections, then the requests that run,
//! also those that nobody waits for any more, and the subscriptions, then the writer, then the batch of an import, the deliveries and the
//! downlinks under way, then the workers and the database.

use std::{future::Future, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures_util::FutureExt;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{
        self, Tasks,
        http::{
            listener::Listener,
            server::{Server, Stopping},
        },
    },
    clock::Plausible,
    codec::Codec,
    config::Config,
    delivery::{Engine, Handle},
    downlink,
    driver::{self, Limits},
    housekeeping,
    hub::{Hub, access::recovery, devices::imports::Importer, removals::Remover},
    keyring,
    live::Live,
    mqtt::Publishers,
    outgoing::Guard,
    private,
    store::{Lock, Store},
    supervise, tls,
    uplink::{Replayer, Subscriber, UplinkPath, Writer, writer},
};

/// Runs the hub until `stop` completes. The error is one line for the operator.
pub async fn serve(
    config: Config,
    worker: driver::Program,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    serve_with(config, worker, stop, writer::run).await
}

/// Runs the hub with another way to write messages down, for measuring what the usual one costs.
pub async fn serve_with<W>(
    config: Config,
    worker: driver::Program,
    stop: impl Future<Output = ()>,
    write: impl FnOnce(Store, mpsc::Receiver<writer::Job>, Handle) -> W,
) -> Result<(), String>
where
    W: Future<Output = ()> + Send + 'static,
{
    // Before all else: until then it would end the process.
    let hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    let config = Arc::new(config);
    // Held until all that uses the database has ended.
    let (_lock, store) = open_store(&config).await?;
    let vault = match keyring::open(&config, &store).await {
        Ok(vault) => vault,
        Err(refused) => {
            let _ = store.close().await;
            return Err(refused);
        }
    };
    let (tls, certificate) = tls::open(&config)?;
    let watch_stop = CancellationToken::new();
    let watching = (store.clone(), watch_stop.clone());
    let watching = supervise::spawn("watch over the database", watching, |(store, stop)| {
        store.clone().watch(stop.clone()).boxed()
    });
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
    let remover = Remover::new(store.clone());
    let (replayer, replays) = Replayer::new(store.clone(), wake.clone());
    let downlinks = downlink::Engine::new(
        store.clone(),
        vault.clone(),
        config.clone(),
        guard.clone(),
        publishers.clone(),
    );
    let stopping = Stopping::default();
    let stop_accepting = stopping.begun.clone();
    let hub = Hub::new(
        store.clone(),
        config.clone(),
        drivers.clone(),
        vault.clone(),
        wake.clone(),
        imports,
        replays,
        Live::new(&config, stop_accepting.clone()),
        guard.clone(),
    );
    if let Some(password) = hub.first_run().await.map_err(|error| error.causes())? {
        println!(
            "The first administrator is \"admin\" with the password {password} (shown only now)"
        );
    }
    let (writer, jobs) = Writer::new(config.uplink_queue_max);
    // What waits to be written goes with it: whoever waits sends it again to a hub that is started anew.
    let broken = CancellationToken::new();
    let writing = write(store.clone(), jobs, wake.clone());
    let writing = supervise::spawn_vital("writer", broken.clone(), writing);
    let engine_stop = CancellationToken::new();
    let stop_engines = engine_stop.clone();
    let delivering = supervise::spawn("delivery engine", engine, move |engine| {
        engine.run(stop_engines.clone()).boxed()
    });
    let stop_engines = engine_stop.clone();
    let downlinking = supervise::spawn("downlink engine", downlinks, move |downlinks| {
        downlinks.run(stop_engines.clone()).boxed()
    });
    let (stop_engines, keeping) = (engine_stop.clone(), config.clone());
    let housekeeping = supervise::spawn("housekeeping", store.clone(), move |store| {
        housekeeping::run(store.clone(), keeping.clone(), stop_engines.clone()).boxed()
    });
    let stop_engines = engine_stop.clone();
    let importing = supervise::spawn("importer", importer, move |importer| {
        importer.run(stop_engines.clone()).boxed()
    });
    let stop_engines = engine_stop.clone();
    let replaying = supervise::spawn("replayer", replayer, move |replayer| {
        replayer.run(stop_engines.clone()).boxed()
    });
    let stop_engines = engine_stop.clone();
    let removing = supervise::spawn("remover", remover, move |remover| {
        remover.run(stop_engines.clone()).boxed()
    });
    let plausible = Plausible {
        ahead_max: TimeDelta::seconds(i64::from(config.time_ahead_max_s)),
    };
    let codec = Codec::new(drivers.clone(), config.driver_state_bytes, plausible);
    let uplinks = UplinkPath::new(store.clone(), vault.clone(), codec, plausible, writer);
    let tasks = Tasks::default();
    let endpoint = api::endpoint(hub, &uplinks, tasks.clone(), stopping.cut.clone());
    let subscriber = Subscriber::new(store.clone(), vault, guard, uplinks);
    let stop_subscribing = stop_accepting.clone();
    let subscribing = supervise::spawn("subscriber", subscriber, move |subscriber| {
        subscriber.run(stop_subscribing.clone()).boxed()
    });

    let server = Server::new(endpoint, tls, address, &config, stopping);
    let accepting = Listener::new(listener, server.clone(), &config, stop_accepting.clone());
    let accepting = supervise::spawn("acceptor", accepting, |accepting| accepting.run().boxed());
    // It catches what breaks in a look, and cannot begin again by itself: it has the signal.
    let watching_certificate = certificate.run(hangup, stop_accepting.clone());
    supervise::spawn_vital(
        "watch over the certificate",
        broken.clone(),
        watching_certificate,
    );
    println!("thingshub listens on https://{address} (documentation: https://{address}/docs)");
    tokio::select! {
        () = stop => {}
        () = broken.cancelled() => {}
    }
    tracing::info!("stopping: no new connections");
    stop_accepting.cancel();
    let _ = accepting.await;
    let patience = Duration::from_secs(config.shutdown_timeout_s);
    server.end(patience).await;
    // With it go its handles of the writer, which ends when all is written.
    drop(server);
    // What was begun for clients that have gone.
    tasks.end(patience).await;
    subscribing
        .await
        .map_err(|error| format!("the subscriptions broke: {error}"))?;
    writing
        .await
        .map_err(|error| format!("the writer broke: {error}"))?;
    engine_stop.cancel();
    housekeeping
        .await
        .map_err(|error| format!("the housekeeping broke: {error}"))?;
    importing
        .await
        .map_err(|error| format!("the importer broke: {error}"))?;
    replaying
        .await
        .map_err(|error| format!("the replayer broke: {error}"))?;
    removing
        .await
        .map_err(|error| format!("the remover broke: {error}"))?;
    let delivered = delivering
        .await
        .map_err(|error| format!("the delivery engine broke: {error}"))?;
    let sent = downlinking
        .await
        .map_err(|error| format!("the downlinks broke: {error}"))?;
    publishers.close().await;
    drivers.shutdown().await;
    watch_stop.cancel();
    watching
        .await
        .map_err(|error| format!("the watch over the database broke: {error}"))?;
    store.close().await.map_err(|error| error.causes())?;
    delivered.and(sent).map_err(|error| error.causes())?;
    if broken.is_cancelled() {
        return Err("a task broke; the log says which".to_owned());
    }
    tracing::info!("stopped");
    Ok(())
}

/// Gives a user another password, on the data itself; answers the user's name.
pub async fn reset_password(
    config: &Config,
    username: &str,
    password: &str,
) -> Result<String, String> {
    let store = Store::open_beside(config)
        .await
        .map_err(|error| format!("setting database_url: {}", error.causes()))?;
    let reset = recovery::reset_password(&store, username, password).await;
    let closed = store.close().await;
    let user = reset.map_err(|error| error.causes())?;
    closed.map_err(|error| error.causes())?;
    Ok(user.username)
}

/// The folder of the hub's own files, which are for its user alone.
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

/// The database, for whoever changes its schema, and the lock that this needs. The error is one line.
pub async fn open_store(config: &Config) -> Result<(Lock, Store), String> {
    prepare_folder(config)?;
    let lock = Lock::take(config)?;
    let store = Store::open(config)
        .await
        .map_err(|error| format!("setting database_url: {}", error.causes()))?;
    Ok((lock, store))
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
